//! The chain as its users see it: the simulator (`execution`, `rules`), an operator with a disk (`storage`),
//! JSON-RPC clients (`rpc`, `robustness`, `clients`) and programs with an alloy provider (`provider`).

mod clients;
mod contracts;
mod execution;
mod fixtures;
mod provider;
mod robustness;
mod rpc;
mod rules;
mod speed;
mod storage;
