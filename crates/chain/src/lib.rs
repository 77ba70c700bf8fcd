//! An embedded EVM chain: revm, redb and the standard eth_* JSON-RPC.
