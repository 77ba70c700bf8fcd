//! Files: tensors, keys, configuration, journal. Whatever is in them, there is an answer and no panic.

use crate::world::{model, site_keys};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::transcript::hash;
use consilium_ledger::Addresses;
use consilium_site::error::{JournalError, KeyError, TensorError};
use consilium_site::journal::{HashFunction, Journal, Recorded, Slot};
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

const FROZEN: &str = "0xeb4f05d6bd8fea02730c50deabe4b5de82b104f722380bb8b0aefb15507f50b7";

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

fn recorded(number: u8, digest: u8) -> Recorded {
    Recorded {
        slot: Slot { chain_id: 1, contract: Address::repeat_byte(1), study: 1, round: number.into() },
        subject: B256::repeat_byte(number),
        digest: B256::repeat_byte(digest),
        hash: HashFunction::default(),
        input: B256::ZERO,
        message: keccak256([digest; 9]),
    }
}

/// Lines that name no hash function are from before there were two.
#[test]
fn a_line_of_an_earlier_journal_is_read_with_the_hash_that_it_was_written_with() {
    let mut line = serde_json::to_value(recorded(1, 1)).unwrap();
    assert!(line.as_object_mut().unwrap().remove("hash").is_some());
    assert_eq!(serde_json::from_value::<Recorded>(line).unwrap(), recorded(1, 1));
    let new = Recorded { hash: HashFunction::Blake3, ..recorded(1, 1) };
    assert_eq!(serde_json::from_value::<Recorded>(serde_json::to_value(new).unwrap()).unwrap(), new);
}

#[test]
fn a_journal_keeps_one_digest_a_round_over_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let open = |keys: &SiteKeys| Journal::open(folder.path(), keys.address());
    let mut journal = open(&site_keys(1)).unwrap();
    assert!(matches!(open(&site_keys(1)), Err(JournalError::Locked(_))));
    journal.record(recorded(1, 1), &vec![1; 9].into()).unwrap();
    journal.record(recorded(1, 1), &vec![1; 9].into()).unwrap();
    assert!(matches!(journal.record(recorded(1, 2), &vec![2; 9].into()), Err(JournalError::AnotherDigest { .. })));
    drop(journal);
    assert!(matches!(open(&site_keys(2)), Err(JournalError::OtherSite { .. })));
    let mut journal = open(&site_keys(1)).unwrap();
    assert_eq!(journal.message(&recorded(1, 1)).unwrap().parts().concat(), [1; 9]);
    assert!(matches!(journal.record(recorded(1, 2), &vec![2; 9].into()), Err(JournalError::AnotherDigest { .. })));
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
    journal.record(recorded(1, 1), &vec![1; 9].into()).unwrap();
    journal.record(recorded(2, 2), &vec![2; 9].into()).unwrap();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let second = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for end in (second..whole.len()).step_by(41) {
        std::fs::write(&path, &whole[..end]).unwrap();
        let mut journal = Journal::open(folder.path(), site).unwrap();
        assert!(journal.contribution(&recorded(1, 1).slot).is_some() && journal.contribution(&recorded(2, 2).slot).is_none());
        journal.record(recorded(2, 3), &vec![3; 9].into()).unwrap();
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
