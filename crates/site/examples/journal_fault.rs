//! Proof: a site's journal after the disk refused one line; see proofs/journal/run.sh.

use alloy_primitives::{Address, B256};
use consilium_site::journal::{Journal, Recorded, Slot};
use consilium_site::message::Message;
use consilium_site::sharing::SharedSubjects;

fn recorded(digest: u8) -> Recorded {
    Recorded {
        slot: Slot { chain_id: 1, contract: Address::repeat_byte(1), study: 1, round: 1 },
        committee: B256::repeat_byte(0xc0),
        subject: B256::repeat_byte(7),
        digest: B256::repeat_byte(digest),
        input: B256::ZERO,
        message: Message::from(vec![digest; 9]).hash(),
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let (folder, site, none) = (std::path::Path::new(&words[1]), Address::repeat_byte(9), SharedSubjects::default());
    let mut journal = Journal::open(folder, site).unwrap();
    std::fs::write(&words[3], &words[2]).unwrap();
    let first = journal.record(recorded(1), &vec![1; 9].into(), &none);
    println!("the first call: {first:?}");
    println!("the second call, with new randomness: {:?}", journal.record(recorded(2), &vec![2; 9].into(), &none));
    println!("sent now: {}", journal.contribution(&recorded(1).slot).unwrap().digest);
    drop(journal);
    match Journal::open(folder, site) {
        Ok(journal) => {
            let known = journal.contribution(&recorded(1).slot).unwrap();
            println!("sent after a restart: {}, message {:?}", known.digest, journal.message(known).map(|m| m.parts().concat()));
        }
        Err(error) => println!("after a restart: {error}"),
    }
}
