//! Files: tensors, keys, configuration, journal. Whatever is in them, there is an answer and no panic.

use crate::world::{model, site_keys};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::eip712::Domain;
use consilium_core::transcript::hash;
use consilium_ledger::Addresses;
use consilium_site::error::{JournalError, KeyError, TensorError};
use consilium_site::journal::{Bar, Journal, Recorded, Slot};
use consilium_site::message::Message;
use consilium_site::sharing::{SharedSubjects, StudyCommittee};
use consilium_site::tensors::{Tensors, add_mean, apply_mean};
use consilium_site::{ConfigFile, SiteConfig, SiteKeys};
use proptest::prelude::*;

/// A safetensors file with this header.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn tensors_come_and_go_in_the_order_of_their_names() {
    let model = model();
    let names: Vec<_> = model.layout().tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["bias", "weight"]);
    let back = Tensors::from_safetensors(&model.to_safetensors().unwrap()).unwrap();
    assert_eq!(back, model);
    let mean: Vec<f64> = (0..6).map(f64::from).collect();
    let aggregate = Tensors::from_safetensors(&model.layout().safetensors_of(&mean).unwrap()).unwrap();
    assert_eq!(aggregate.values(), mean);
    assert!(model.layout().safetensors_of(&mean[1..]).is_err());
}

#[test]
fn the_digest_of_a_model_is_the_documented_one() {
    let f32s = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let u64s = |values: &[u64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (bias, weight) = (f32s(&[0.5, -0.25]), f32s(&[1.0, 2.0, 3.0, 4.0]));
    let parts: [&[u8]; 6] = [b"bias", &u64s(&[2]), &bias, b"weight", &u64s(&[2, 2]), &weight];
    assert_eq!(model().model_digest(), hash("model", &parts));
    // A frozen value: a change here changes the subjects of all rounds.
    assert_eq!(model().model_digest().to_string(), FROZEN);
}

const FROZEN: &str = "0xf9fc9cadd7de12b2917d46cb8c716a9c82bbf759fa8377ae9d8751439f605d60";

#[test]
fn every_accepted_format_is_read_exactly() {
    let header = r#"{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]},"c":{"dtype":"F64","shape":[],"data_offsets":[8,16]}}"#;
    let data = [&[0x00, 0x3c, 0x01, 0x00, 0xff, 0xfb][..], &[0x80, 0x3f], &1e-300f64.to_le_bytes()].concat();
    let tensors = Tensors::from_safetensors(&file(header, &data)).unwrap();
    assert_eq!(tensors.values(), [1.0, 2f64.powi(-24), -65504.0, 1.0, 1e-300]);
}

#[test]
fn malformed_tensors_are_refused_with_the_reason() {
    let f32 = |name: &str| format!(r#""{name}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#);
    let refused = |bytes: &[u8]| Tensors::from_safetensors(bytes).unwrap_err();
    let twice = file(&format!("{{{},{}}}", f32("a"), f32("a")), &[0; 4]);
    assert!(matches!(refused(&twice), TensorError::Duplicate(name) if name == "a"));
    let nan = file(&format!("{{{}}}", f32("a")), &f32::NAN.to_le_bytes());
    assert!(matches!(refused(&nan), TensorError::NotFinite { index: 0, .. }));
    let half = file(r#"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#, &[0, 0x7c]);
    assert!(matches!(refused(&half), TensorError::NotFinite { .. }));
    let integers = file(r#"{"a":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]);
    assert!(refused(&integers).to_string().contains("F16, BF16, F32 and F64"));
    assert!(matches!(refused(&file("{}", &[])), TensorError::Empty));
    let name = file(&format!("{{{}}}", f32(&"n".repeat(2000))), &[0; 4]);
    assert!(matches!(refused(&name), TensorError::Name(2000)));
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#;
    for bytes in [&[][..], &[255; 8], &file(huge, &[0; 4]), &file("{", &[]), &twice[..20]] {
        assert!(!refused(bytes).to_string().is_empty());
    }
}

proptest! {
    #[test]
    fn random_and_damaged_files_never_panic(at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>(), noise: Vec<u8>) {
        let good = model().to_safetensors().unwrap();
        let mut flipped = good.clone();
        flipped[at.index(good.len())] = byte;
        // A damaged file is refused, or it is another model of finite values.
        if let Ok(tensors) = Tensors::from_safetensors(&flipped) {
            prop_assert!(tensors.values().iter().all(|v| v.is_finite()));
            prop_assert_eq!(tensors.values().len(), tensors.layout().dimension());
        }
        prop_assert!(Tensors::from_safetensors(&good[..cut.index(good.len())]).is_err());
        prop_assert!(Tensors::from_safetensors(&noise).is_err());
        let _any = ConfigFile::parse(&String::from_utf8_lossy(&noise), "site.toml".as_ref());
    }

    #[test]
    fn the_next_model_is_rounded_once(base in any::<f32>(), mean in -1e6f64..1e6) {
        prop_assume!(base.is_finite() && base.abs() < 1e30);
        prop_assert_eq!(add_mean(&[base], &[mean]), vec![(f64::from(base) + mean) as f32]);
    }
}

#[test]
fn the_next_model_rounds_ties_to_even_and_stays_finite() {
    let ulp = f64::from(f32::EPSILON);
    assert_eq!(add_mean(&[1.0, 1.0 + f32::EPSILON], &[ulp / 2.0, ulp / 2.0]), [1.0, 1.0 + 2.0 * f32::EPSILON]);
    assert!(matches!(apply_mean(&model(), &[0.0; 5]), Err(TensorError::Length { expected: 6, found: 5 })));
    assert!(matches!(apply_mean(&model(), &[1e39; 6]), Err(TensorError::NotFinite { .. })));
}

#[test]
fn a_key_file_is_private_or_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let keys = SiteKeys::generate().unwrap();
    keys.save(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let back = SiteKeys::load(&path).unwrap();
    assert_eq!((back.address(), back.expose_device_secret()), (keys.address(), keys.expose_device_secret()));
    assert!(matches!(keys.save(&path), Err(KeyError::Write { .. })));
    for mode in [0o640, 0o604, 0o644, 0o660] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = SiteKeys::load(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let secret = "11".repeat(32);
    let bad = [
        "not json".to_owned(),
        format!(r#"{{"signing_key":"0x{secret}"}}"#),
        format!(r#"{{"signing_key":"0x{secret}","device_secret":"0x1234"}}"#),
        format!(r#"{{"signing_key":"0x{}","device_secret":"0x{secret}"}}"#, "00".repeat(32)),
        format!(r#"{{"signing_key":"0x{secret}zz","device_secret":"0x{secret}"}}"#),
    ];
    for text in bad {
        std::fs::write(&path, text).unwrap();
        let error = SiteKeys::load(&path).unwrap_err();
        assert!(matches!(error, KeyError::Form { .. }) && !error.to_string().contains(&secret), "{error}");
    }
    let missing = SiteKeys::load(&folder.path().join("none")).unwrap_err().to_string();
    assert!(missing.contains("cannot read the key file"), "{missing}");
    assert!(!format!("{keys:?}").contains(&hex::encode(keys.expose_device_secret())));
}

#[test]
fn a_configuration_is_read_with_the_environment_on_top() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    Addresses { chain_id: 7, ..Addresses::default() }.save(&folder.path().join("addresses.json")).unwrap();
    let text = format!(
        "rpc = ['http://a:1']\naddresses = 'addresses.json'\nkey_file = 'key.json'\n[studies.3]\ncommittees = ['{}']\n",
        B256::repeat_byte(4)
    );
    let load = |text: &str, environment: fn(&str) -> Option<String>| {
        SiteConfig::from_file(ConfigFile::parse(text, &path)?, &path, environment)
    };
    let (config, key_file) = load(&text, |name| match name {
        "CONSILIUM_DATA" => Some("/data".into()),
        "CONSILIUM_RPC" => Some("http://b:1, http://c:1".into()),
        _ => None,
    })
    .unwrap();
    assert_eq!(config.rpc, ["http://b:1", "http://c:1"]);
    assert_eq!((config.addresses.chain_id, key_file), (7, folder.path().join("key.json")));
    assert!(config.policy.studies[&3].committees.contains(&B256::repeat_byte(4)));
    assert_eq!((config.policy.minimum_cohort, config.policy.any_base_model), (3, false));
    assert_eq!((config.policy.shared, config.policy.trust_journal), (SharedSubjects::default(), false));
    assert_eq!(config.clock.tolerance_millis(), 600_000);
    let wrong = [
        (text.as_str(), "CONSILIUM_DATA"),
        ("rpc = 3", "site.toml"),
        ("rcp = []", "rcp"),
        ("data = 'd'\nkey_file = 'k'\naddresses = 'addresses.json'", "CONSILIUM_RPC"),
        ("rpc = ['x']\ndata = 'd'\nkey_file = 'k'\naddresses = 'none.json'", "none.json"),
        ("rpc = ['x']\ndata = 'd'\nkey_file = 'k'\naddresses = 'addresses.json'\n[studies.x]", "[studies.x]"),
        ("[studies.1]\ncommittees = ['0x12']", "committees"),
    ];
    for (text, words) in wrong {
        let error = load(text, |_| None).unwrap_err().to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
}

/// What the configuration with these lines more gives, or its error's words.
fn configured(lines: &str) -> Result<SiteConfig, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    let addresses = Addresses { chain_id: 7, consilium: Address::repeat_byte(7), ..Addresses::default() };
    addresses.save(&folder.path().join("addresses.json")).unwrap();
    let text = format!("rpc = ['x']\naddresses = 'addresses.json'\nkey_file = 'k'\ndata = 'd'\n{lines}");
    let parsed = ConfigFile::parse(&text, &path).and_then(|file| SiteConfig::from_file(file, &path, |_| None));
    parsed.map(|(config, _)| config).map_err(|error| error.to_string())
}

#[test]
fn shared_subjects_are_read_strictly() {
    let (one, two) = (B256::repeat_byte(1), B256::repeat_byte(2));
    let other = Address::repeat_byte(9);
    let group = |entries: &str| format!("[[shared_subjects]]\nstudies = [{entries}]\n");
    let shared = configured(&group(&format!(
        "{{ study = 1, committee = '{one}' }}, {{ study = 4, committee = '{two}', chain_id = 5, contract = '{other}' }},"
    )))
    .unwrap()
    .policy
    .shared;
    let domain = |chain_id, contract| Domain { chain_id, contract };
    let here = StudyCommittee::new(domain(7, Address::repeat_byte(7)), 1, one);
    let there = StudyCommittee::new(domain(5, other), 4, two);
    assert!(shared.allow(&here, &there));
    assert!(!shared.allow(&here, &StudyCommittee::new(domain(7, Address::repeat_byte(7)), 4, two)));
    // A refusal's words are lines that can be pasted.
    assert!(configured(&group(&format!("{here}, {there}"))).unwrap().policy.shared.allow(&there, &here));
    let entry = format!("{{ study = 1, committee = '{one}' }}");
    let half = format!("{entry}, {{ study = 4, committee = '{two}', chain_id = 5 }}");
    let wrong = [
        (group(&entry), "[[shared_subjects]] number 1: name at least two"),
        (group(""), "name at least two"),
        (group(&format!("{entry}, {entry}")), "number 1 names this twice: { chain_id = 7"),
        (format!("{}{}", group(&format!("{here}, {there}")), group(&entry)), "number 2: name at least two"),
        (group(&half), "study 4 needs both `chain_id` and `contract`"),
        (group("{ study = 1 }"), "missing field `committee`"),
        (group(&format!("{{ study = 1, committee = '{one}', round = 3 }}")), "unknown field `round`"),
        (group(&format!("{{ study = '1', committee = '{one}' }}")), "expected u64"),
        ("[[shared_subjects]]\nstudy = 1\n".to_owned(), "unknown field `study`"),
        ("[clock]\ntolerance = -1\n".to_owned(), "tolerance"),
        ("[clock]\nskew = 1\n".to_owned(), "unknown field `skew`"),
    ];
    for (lines, words) in wrong {
        let error = configured(&lines).unwrap_err();
        assert!(error.contains(words), "{lines}: {error}");
    }
    let clock = configured("[clock]\ntolerance = 30\n[policy]\ntrust_journal = true\n").unwrap();
    assert_eq!((clock.clock.tolerance_millis(), clock.policy.trust_journal), (30_000, true));
}

#[test]
fn a_node_or_a_study_in_two_spellings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("site.toml");
    Addresses { chain_id: 7, ..Addresses::default() }.save(&folder.path().join("addresses.json")).unwrap();
    let load = |tables: &str| {
        let start = "rpc = ['x']\ndata = 'd'\nkey_file = 'k'\naddresses = 'addresses.json'\n";
        SiteConfig::from_file(ConfigFile::parse(&[start, tables].concat(), &path)?, &path, |_| None)
    };
    let node = |address: &str| format!("\"{address}\" = \"http://a:1\"\n");
    let lower = format!("0x{}", "ab".repeat(20));
    let (config, _) = load(&format!("[nodes]\n{}[studies.1]\n[studies.10]\n", node(&lower))).unwrap();
    assert_eq!((config.nodes.len(), config.policy.studies.len()), (1, 2));
    for other in [lower.replace("ab", "AB"), lower.replace("0x", "")] {
        let error = load(&format!("[nodes]\n{}{}", node(&lower), node(&other))).unwrap_err().to_string();
        assert!(error.contains("there twice"), "{error}");
    }
    for study in ["01", "\"+1\""] {
        let error = load(&format!("[studies.1]\n[studies.{study}]\n")).unwrap_err().to_string();
        assert!(error.contains("without leading zeros"), "{error}");
    }
}

fn message(digest: u8) -> Message {
    vec![digest; 9].into()
}

fn recorded(number: u8, digest: u8) -> Recorded {
    Recorded {
        slot: Slot { chain_id: 1, contract: Address::repeat_byte(1), study: 1, round: number.into() },
        committee: B256::repeat_byte(0xc0),
        subject: B256::repeat_byte(number),
        digest: B256::repeat_byte(digest),
        input: B256::ZERO,
        message: message(digest).hash(),
    }
}

#[test]
fn a_journal_of_another_version_is_named_and_left_alone() {
    let site = site_keys(1).address();
    let first = format!(r#"{{"site":"{site}"}}"#);
    let next = format!(r#"{{"journal":{{"version":3,"site":"{site}"}}}}"#);
    let now = format!(r#"{{"journal":{{"version":2,"site":"{site}"}}}}"#);
    let mut old = serde_json::to_value(recorded(1, 1)).unwrap();
    assert!(old.as_object_mut().unwrap().remove("committee").is_some());
    let old = format!(r#"{{"contribution":{old}}}"#);
    for (lines, line) in [(vec![&first], 1), (vec![&next], 1), (vec![&now, &old], 2)] {
        let folder = tempfile::tempdir().unwrap();
        let text: String = lines.iter().map(|json| format!("{} {json}\n", hex::encode(&keccak256(json)[..8]))).collect();
        std::fs::write(folder.path().join("journal"), &text).unwrap();
        let error = Journal::open(folder.path(), site).map(drop).unwrap_err();
        assert!(matches!(error, JournalError::Version { line: found, .. } if found == line), "{error}");
        let words = error.to_string();
        assert!(words.contains("not of version 2") && words.contains("consilium keys new site"), "{words}");
        assert_eq!(std::fs::read_to_string(folder.path().join("journal")).unwrap(), text);
    }
}

#[test]
fn a_journal_keeps_one_digest_a_round_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let open = |keys: &SiteKeys| Journal::open(folder.path(), keys.address());
    let mut journal = open(&site_keys(1)).unwrap();
    assert!(matches!(open(&site_keys(1)), Err(JournalError::Locked(_))));
    journal.record(recorded(1, 1), &message(1), &SharedSubjects::default()).unwrap();
    journal.record(recorded(1, 1), &message(1), &SharedSubjects::default()).unwrap();
    assert!(matches!(
        journal.record(recorded(1, 2), &message(2), &SharedSubjects::default()),
        Err(JournalError::AnotherDigest { .. })
    ));
    drop(journal);
    assert!(matches!(open(&site_keys(2)), Err(JournalError::OtherSite { .. })));
    let mut journal = open(&site_keys(1)).unwrap();
    assert_eq!(journal.message(&recorded(1, 1)).unwrap().parts().concat(), [1; 9]);
    assert!(matches!(
        journal.record(recorded(1, 2), &message(2), &SharedSubjects::default()),
        Err(JournalError::AnotherDigest { .. })
    ));
    let message = folder.path().join("messages").join(hex::encode([1; 32]));
    std::fs::write(&message, b"other").unwrap();
    assert!(matches!(journal.message(&recorded(1, 1)), Err(JournalError::Message(_))));
    journal.forget_message(&recorded(1, 1).slot).unwrap();
    journal.forget_message(&recorded(1, 1).slot).unwrap();
    assert!(!message.exists() && journal.contribution(&recorded(1, 1).slot).is_some());
}

#[test]
fn half_a_line_is_dropped_and_a_damaged_one_stops_the_site() {
    let folder = tempfile::tempdir().unwrap();
    let (path, site) = (folder.path().join("journal"), site_keys(1).address());
    let mut journal = Journal::open(folder.path(), site).unwrap();
    journal.record(recorded(1, 1), &message(1), &SharedSubjects::default()).unwrap();
    journal.record(recorded(2, 2), &message(2), &SharedSubjects::default()).unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let second = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for end in (second..whole.len()).step_by(41) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let mut journal = Journal::open(folder.path(), site).unwrap();
        assert!(journal.contribution(&recorded(1, 1).slot).is_some() && journal.contribution(&recorded(2, 2).slot).is_none());
        journal.record(recorded(2, 3), &message(3), &SharedSubjects::default()).unwrap();
        drop(journal);
        assert!(Journal::open(folder.path(), site).unwrap().contribution(&recorded(2, 3).slot).is_some());
    }
    for at in (0..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x04;
        std::fs::write(&path, &damaged).unwrap();
        let error = Journal::open(folder.path(), site).map(drop).unwrap_err();
        assert!(matches!(error, JournalError::Damaged { .. }), "{at}: {error}");
    }
}

#[test]
fn a_journal_keeps_the_rule_of_one_subject_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Journal::open(folder.path(), site_keys(1).address()).unwrap();
    let first = recorded(1, 1);
    let again = |digest: u8, change: fn(&mut Recorded)| {
        let mut new = Recorded { slot: Slot { round: 9, ..first.slot }, ..recorded(1, digest) };
        change(&mut new);
        new
    };
    let foreign: [fn(&mut Recorded); 4] = [
        |new| new.slot.study = 2,
        |new| new.slot.contract = Address::repeat_byte(2),
        |new| new.slot.chain_id = 2,
        |new| new.committee = B256::repeat_byte(0xc1),
    ];
    let none = SharedSubjects::default();
    let mut journal = open();
    journal.record(first, &message(1), &none).unwrap();
    assert_eq!(journal.bar(again(2, |_| ()).slot, first.committee, first.subject, &none), Some(Bar::Pending(first.slot)));
    journal.note_void(first.slot).unwrap();
    drop(journal);
    let mut journal = open();
    for (change, digest) in foreign.into_iter().zip(10..) {
        let new = again(digest, change);
        assert_eq!(journal.bar(new.slot, new.committee, new.subject, &none), Some(Bar::Elsewhere(first)));
        let refused = journal.record(new, &message(digest), &none).unwrap_err();
        assert!(matches!(refused, JournalError::SubjectTaken { place, .. } if place == first.slot), "{refused}");
        // Naming another committee of the other study is not enough.
        let named = |committee| StudyCommittee { committee, ..new.study_committee() };
        let other = SharedSubjects::new(vec![vec![first.study_committee(), named(B256::repeat_byte(0xdd))]]).unwrap();
        assert!(journal.bar(new.slot, new.committee, new.subject, &other).is_some());
        let shared = SharedSubjects::new(vec![vec![first.study_committee(), named(new.committee)]]).unwrap();
        assert_eq!(journal.bar(new.slot, new.committee, new.subject, &shared), None);
        // Another model is nobody's business here.
        assert_eq!(journal.bar(new.slot, new.committee, B256::repeat_byte(77), &none), None);
    }
    // The retry in the same study, with the same committee.
    journal.record(again(2, |_| ()), &message(2), &none).unwrap();
}

#[test]
fn a_named_study_may_have_its_own_sum_and_the_same_study_may_not_have_two() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), site_keys(1).address()).unwrap();
    let first = recorded(1, 1);
    let second = Recorded { slot: Slot { study: 2, ..first.slot }, ..recorded(1, 2) };
    let newer = Recorded { slot: Slot { round: 9, ..first.slot }, committee: B256::repeat_byte(0xc1), ..recorded(1, 3) };
    let group = [first, second, newer].map(|recorded| recorded.study_committee());
    let shared = SharedSubjects::new(vec![group.to_vec()]).unwrap();
    journal.record(first, &message(1), &shared).unwrap();
    // Another committee of the same study may take a void round's subject, no other.
    let bar = |journal: &Journal, of: &Recorded| journal.bar(of.slot, of.committee, of.subject, &shared);
    assert_eq!((bar(&journal, &second), bar(&journal, &newer)), (None, Some(Bar::Pending(first.slot))));
    journal.note_certified(first.slot, first.subject).unwrap();
    assert_eq!((bar(&journal, &second), bar(&journal, &newer)), (None, Some(Bar::Certified(first.slot))));
    journal.record(second, &message(2), &shared).unwrap();
    journal.note_certified(second.slot, second.subject).unwrap();
    drop(journal);
    let journal = Journal::open(folder.path(), site_keys(1).address()).unwrap();
    let of_second = Recorded { slot: Slot { round: 9, ..second.slot }, ..recorded(1, 4) };
    assert_eq!(bar(&journal, &of_second), Some(Bar::Certified(second.slot)));
}
