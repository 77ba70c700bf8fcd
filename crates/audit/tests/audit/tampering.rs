//! One artefact at a time, first at one node, then at all: the audit names it and says why.
