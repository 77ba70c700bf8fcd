//! How blocks and accounts lie on disk: RLP, as on the wire of Ethereum.

use alloy::{
    consensus::{Header, ReceiptEnvelope, Sealable, TxEnvelope},
    eips::{Decodable2718, Encodable2718},
    rlp::{Decodable, Encodable, decode_exact, encode},
};
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::state::AccountInfo;

use crate::block::{Block, Included, Transaction};

/// A list of header and, for each transaction, itself, its sender and its receipt.
///
/// The sender is kept because recovering it costs more than all other checks of a block together.
pub(crate) fn encode_block(block: &Block) -> Vec<u8> {
    let mut parts: Vec<Bytes> = vec![encode(block.header.inner()).into()];
    for tx in &block.included {
        parts.push(tx.transaction.inner().encoded_2718().into());
        parts.push(tx.transaction.signer().to_vec().into());
        parts.push(tx.receipt.encoded_2718().into());
    }
    encode(parts)
}

/// The inverse of [`encode_block`]; `None` for anything that it does not write.
pub(crate) fn decode_block(record: &[u8]) -> Option<Block> {
    let parts: Vec<Bytes> = decode_exact(record).ok()?;
    let (header, rest) = parts.split_first()?;
    let header: Header = decode_exact(header).ok()?;
    let (chunks, []) = rest.as_chunks::<3>() else { return None };
    let included = chunks.iter().map(decode_included).collect::<Option<_>>()?;
    Some(Block { header: header.seal_slow(), included })
}

fn decode_included([transaction, sender, receipt]: &[Bytes; 3]) -> Option<Included> {
    let transaction = TxEnvelope::decode_2718_exact(transaction).ok()?;
    let sender = Address::try_from(sender.as_ref()).ok()?;
    let receipt = ReceiptEnvelope::decode_2718_exact(receipt).ok()?;
    Some(Included { transaction: Transaction::new_unchecked(transaction, sender), receipt })
}

/// Nonce, balance and code hash.
pub(crate) fn encode_account(account: &AccountInfo) -> Vec<u8> {
    let mut out = Vec::with_capacity(80);
    account.nonce.encode(&mut out);
    account.balance.encode(&mut out);
    account.code_hash.encode(&mut out);
    out
}

/// The inverse of [`encode_account`].
pub(crate) fn decode_account(mut record: &[u8]) -> Option<(u64, U256, B256)> {
    let nonce = u64::decode(&mut record).ok()?;
    let balance = U256::decode(&mut record).ok()?;
    let code_hash = B256::decode(&mut record).ok()?;
    record.is_empty().then_some((nonce, balance, code_hash))
}
