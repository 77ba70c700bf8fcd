//! Intents of others that they never signed, for whoever asks what is held of it, and for whoever is about to sign.

use super::{Me, Mischief, to};
use alloy::sol_types::SolStruct as _;
use alloy_primitives::B256;
use consilium_core::eip712::{Final, Intent};
use consilium_core::round::{Effect, IntentKind, Message, SignedIntent};

#[derive(Debug)]
pub(super) struct ForgedIntents;

const SET: B256 = B256::repeat_byte(7);

fn forged(me: &Me<'_>, of: usize, kind: IntentKind) -> SignedIntent {
    let (study, round) = (me.terms.study, me.terms.round);
    let said = Final { study, subject: me.terms.subject, round, setRoot: SET };
    let hash = if kind == IntentKind::Final { said.eip712_hash_struct() } else { SET };
    let signature = me.terms.domain.sign(me.key, &Intent { study, round, kind: kind as u8, hash });
    SignedIntent { node: of, round, kind, set_root: SET, hash, signature }
}

impl Mischief for ForgedIntents {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Send { to: Some(asking), message: Message::Recalled { start, from, receipts, next, .. } } => {
                let kinds = [IntentKind::Final, IntentKind::ShareRoot, IntentKind::Settlement];
                let intents = kinds.map(|kind| forged(me, asking, kind)).into();
                vec![to(asking, Message::Recalled { start, from, intents, receipts, next })]
            }
            Effect::Send { to: Some(asking), message: Message::Acknowledged(intent) } => {
                vec![to(asking, Message::Acknowledged(forged(me, asking, intent.kind)))]
            }
            other => vec![other],
        }
    }
}
