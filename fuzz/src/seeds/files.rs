//! Seeds of files: tensors, data sets, configurations.

use super::Put;
use crate::config::Config;
use crate::parts::sized;
use crate::targets::fixed::ADDRESSES;
use alloy_primitives::Address;
use consilium_site::tensors::{Format, Layout, TensorLayout, Tensors};

/// The archives that the readers' own tests have, good and bad.
const ARCHIVES: [(&str, &[u8]); 6] = [
    ("grey", include_bytes!("../../../crates/training/tests/fixtures/grey.npz")),
    ("colour-stored", include_bytes!("../../../crates/training/tests/fixtures/colour_stored.npz")),
    ("bad-fortran", include_bytes!("../../../crates/training/tests/fixtures/fortran.npz")),
    ("bad-floats", include_bytes!("../../../crates/training/tests/fixtures/floats.npz")),
    ("bad-labels", include_bytes!("../../../crates/training/tests/fixtures/several_labels.npz")),
    ("bad-no-test", include_bytes!("../../../crates/training/tests/fixtures/no_test.npz")),
];

pub(super) fn all(put: &Put<'_>) {
    let model = tensors();
    put("safetensors", "f32", &model.to_safetensors().expect("a model can be written"));
    put("safetensors", "f64", &model.layout().safetensors_of(model.values()).expect("and an aggregate"));
    let header =
        r#"{"a":{"dtype":"F16","shape":[3],"data_offsets":[0,6]},"b":{"dtype":"BF16","shape":[1],"data_offsets":[6,8]}}"#;
    put("safetensors", "halves", &safetensors(header, &[0, 0x3c, 1, 0, 0xff, 0xfb, 0x80, 0x3f]));
    bad_tensors(put);
    data_sets(put);
    put("node_config", "every-key", node().to_toml().as_bytes());
    put("node_config", "addresses", serde_json::to_string(&ADDRESSES).expect("JSON").as_bytes());
    put("site_config", "every-key", SITE.as_bytes());
}

fn data_sets(put: &Put<'_>) {
    let images = idx(&[3, 2, 2], &[0, 51, 102, 255, 1, 2, 3, 4, 5, 6, 7, 8]);
    let labels = idx(&[3], &[0, 2, 1]);
    put("idx", "plain", &tables(0, &images, &labels, b""));
    put("idx", "patients", &tables(1, &images, &labels, b"patient\n7\n7\n4000000000\n"));
    put("idx", "colour", &tables(0, &idx(&[1, 2, 1, 3], &[1; 6]), &idx(&[1, 1], &[0]), b""));
    put("idx", "gzip", &tables(0, GZIPPED, &labels, b""));
    for (name, shape, values) in [
        ("bad-empty", &[0, 2, 2][..], &[][..]),
        ("bad-no-width", &[3, 0, 2], &[]),
        ("bad-short", &[3, 2, 2], &[1; 11]),
        ("bad-long", &[3, 2, 2], &[1; 13]),
        ("bad-huge", &[u32::MAX; 4], &[]),
        ("bad-rows", &[2, 2, 2], &[1; 8]),
    ] {
        put("idx", name, &tables(0, &idx(shape, values), &labels, b""));
    }
    for (name, archive) in ARCHIVES {
        put("npz", name, archive);
    }
}

/// A safetensors file with this header.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn bad_tensors(put: &Put<'_>) {
    let f32 = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#;
    put("safetensors", "bad-twice", &safetensors(&format!("{{{f32},{f32}}}"), &[0; 4]));
    put("safetensors", "bad-infinite", &safetensors(&format!("{{{f32}}}"), &f32::INFINITY.to_le_bytes()));
    put("safetensors", "bad-huge", &safetensors(huge, &[0; 4]));
    put("safetensors", "bad-empty", &safetensors("{}", &[]));
}

fn tensors() -> Tensors {
    let format = Format::F32;
    let layout = |name: &str, shape: &[usize]| TensorLayout { name: name.into(), shape: shape.to_vec(), format };
    let layout = Layout::new(vec![layout("weight", &[2, 2]), layout("bias", &[2]), layout("scale", &[])]).expect("three names");
    Tensors::new(layout, vec![0.5, -0.25, 1.0, 2.0, 3.0, 4.0, 0.125]).expect("seven values")
}

fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let sides: Vec<u8> = shape.iter().flat_map(|side| side.to_be_bytes()).collect();
    [&[0, 0, 8, shape.len() as u8], &sides[..], values].concat()
}

/// An image file of three rows of 2 x 2 zeros, as `gzip -9n` packs it.
const GZIPPED: &[u8] = include_bytes!("images.idx.gz");

fn tables(with_patients: u8, images: &[u8], labels: &[u8], patients: &[u8]) -> Vec<u8> {
    [&[with_patients], &sized(images)[..], &sized(labels), &sized(patients)].concat()
}

fn node() -> Config {
    let rpc = vec!["http://127.0.0.1:8545".to_owned()];
    let listen = "127.0.0.1:7001".parse().expect("an address");
    let mut config = Config::new(listen, "/d".into(), "k".into(), rpc, ADDRESSES);
    config.peers.insert(Address::repeat_byte(9), "http://10.0.0.2:7001".into());
    config
}

const SITE: &str = r#"rpc = ["http://127.0.0.1:8545"]
addresses = "addresses.json"
key_file = "site-key.json"
data = "site-data"
[nodes]
"0x1111111111111111111111111111111111111111" = "http://127.0.0.1:9001"
"0xabcdefabcdefabcdefabcdefabcdefabcdefabcd" = "http://127.0.0.1:9002"
[policy]
minimum_cohort = 3
operators = ["Clinic"]
jurisdictions = ["DE", "FR"]
any_base_model = false
[studies.1]
committees = ["0x2222222222222222222222222222222222222222222222222222222222222222"]
genesis = "0x3333333333333333333333333333333333333333333333333333333333333333"
[studies.2]
committees = []
[timeouts]
connect = 5.0
deliver = 120
"#;
