//! Data sets, patient-wise partitions and federated averaging for the demo.
//!
//! Consilium settles sums; this crate makes sums worth settling. It knows nothing of masks, proofs or chains: it gives a
//! site the update that it will protect, and it repeats the whole training in the open, so that the demo can say what
//! protection cost in accuracy.
//!
//! | step | what | where |
//! |---|---|---|
//! | read | rows with labels and patients, divided into train and test | [`dataset::DataSet`] |
//! | divide | training rows among sites, skewed labels, whole patients | [`partition::split`] |
//! | start | the model all sites begin with, from a seed | [`fedavg::Options::initial`] |
//! | train | one site, one round, its own rows only | [`fedavg::Options::update`], [`train_local`] |
//! | weigh | a site's weight in the mean, from its own row count | [`fedavg::site_weight`] |
//! | mean | the clipped, weighted mean of updates, in the open | [`fedavg::weighted_mean`] |
//! | judge | accuracy and AUC on the test rows | [`metrics::evaluate`] |
//! | compare | the same training without protection, and each site alone | [`fedavg::plain_run`], [`fedavg::alone`] |
//!
//! In the protected run the site clips, weighs and masks the update itself, the committee's aggregate takes the place of
//! [`fedavg::weighted_mean`], and [`model::Parameters::plus`] makes the next model from it.
//!
//! **Determinism.** A seed fixes a run on one machine whatever the order of sites or the number of threads: every stream
//! of random numbers is keyed by (purpose, seed, site, round). Processors with other vector instructions may round a
//! matrix product differently in the last bit.
//!
//! **Limits.** Rows are unsigned bytes, one label a row, at most 256 classes. The network has one hidden layer. Nothing
//! here protects against what a model itself reveals about the rows it was trained on.
//!
//! ```
//! use consilium_training::{dataset::DataSet, fedavg, metrics::evaluate, partition};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let data = DataSet::lidc()?;
//! let sites = partition::split(&data.train, 10, 0.5, 1)?;
//! let options = fedavg::Options { rounds: 2, ..Default::default() };
//!
//! let mut global = options.initial(&data)?;
//! for round in 0..2 {
//!     let mut updates = Vec::new();
//!     for (site, own) in (0..).zip(&sites) {
//!         updates.push((fedavg::site_weight(own.len()), options.update(&global, own, site, round)?));
//!     }
//!     global = global.plus(&fedavg::weighted_mean(&updates, options.clip_radius)?)?;
//! }
//!
//! assert!(evaluate(&global, &data.test)?.accuracy > 0.7);
//! assert_eq!(global, fedavg::plain_run(&data, &sites, &options, |_| ())?);
//! # Ok(())
//! # }
//! ```

pub mod dataset;
mod error;
pub mod fedavg;
mod local;
pub mod metrics;
pub mod model;
pub mod partition;
mod random;

pub use error::TrainingError;
pub use local::{LocalOptions, Turn, train_local};
