//! Named tensors: what a training program hands over and gets back, as safetensors files.
//!
//! **Canonical order.** Tensors by name, bytewise; each tensor row-major; one after the other. That flat vector of d reals is the
//! update that is encoded, and the mean comes back in the same order.
//!
//! **Digest of a model** (the subject of a federated round): H("model", then for each tensor in canonical order: its name
//! in UTF-8, its dimensions as u64 little-endian one after the other, its data as f32 little-endian). Data of another
//! type are rounded to f32 first, to nearest, ties to even.
//!
//! **The next model**: every coordinate is `((base as f64) + mean) as f32`, rounded to nearest, ties to even. The next round's
//! subject depends on every bit of it, so the operations are pinned: the base is f32, the mean is the binary64 that
//! [`consilium_core::encode::decode`] yields, one addition, one rounding.

use crate::error::TensorError;
use alloy_primitives::B256;
use consilium_core::transcript::Transcript;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::BTreeSet;

/// Largest file that is read.
pub const MAX_FILE_BYTES: usize = 1 << 34;
/// Most tensors of a file.
pub const MAX_TENSORS: usize = 65_536;
/// Longest tensor name in bytes.
pub const MAX_NAME_BYTES: usize = 1_024;

/// A number format that updates and models may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// IEEE binary16.
    F16,
    /// bfloat16.
    Bf16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
}

impl Format {
    fn of(name: &str, dtype: Dtype) -> Result<Self, TensorError> {
        match dtype {
            Dtype::F16 => Ok(Self::F16),
            Dtype::BF16 => Ok(Self::Bf16),
            Dtype::F32 => Ok(Self::F32),
            Dtype::F64 => Ok(Self::F64),
            other => Err(TensorError::Format { name: name.to_owned(), found: format!("{other:?}") }),
        }
    }

    fn dtype(self) -> Dtype {
        match self {
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::F32 => Dtype::F32,
            Self::F64 => Dtype::F64,
        }
    }

    fn read(self, bytes: &[u8]) -> Vec<f64> {
        match self {
            Self::F16 => words::<2>(bytes).map(|b| half(u16::from_le_bytes(b))).collect(),
            Self::Bf16 => words::<2>(bytes).map(|b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16).into()).collect(),
            Self::F32 => words::<4>(bytes).map(|b| f32::from_le_bytes(b).into()).collect(),
            Self::F64 => words::<8>(bytes).map(f64::from_le_bytes).collect(),
        }
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// The value of a binary16, exactly.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

/// Name, shape and number format of one tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorLayout {
    /// Its name in the file.
    pub name: String,
    /// Its dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// The format in which it came.
    pub format: Format,
}

impl TensorLayout {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a flat vector has to be cut into, in canonical order, so that it is tensors again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout(Vec<TensorLayout>);

impl Layout {
    /// Sorts tensors into canonical order.
    ///
    /// # Errors
    /// [`TensorError`] for names that come twice, are too long or too many, and for shapes whose size overflows.
    pub fn new(mut tensors: Vec<TensorLayout>) -> Result<Self, TensorError> {
        if tensors.is_empty() {
            return Err(TensorError::Empty);
        }
        if tensors.len() > MAX_TENSORS {
            return Err(TensorError::TooMany(tensors.len()));
        }
        tensors.sort_by(|a, b| a.name.as_bytes().cmp(b.name.as_bytes()));
        let mut total = 0usize;
        for tensor in &tensors {
            if tensor.name.len() > MAX_NAME_BYTES {
                return Err(TensorError::Name(tensor.name.len()));
            }
            let length = tensor.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
            let sum = length.and_then(|length| total.checked_add(length));
            total = sum.filter(|sum| *sum <= MAX_FILE_BYTES / 2).ok_or_else(|| TensorError::Shape(tensor.name.clone()))?;
        }
        match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(TensorError::Duplicate(pair[0].name.clone())),
            None => Ok(Self(tensors)),
        }
    }

    /// The tensors in canonical order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorLayout] {
        &self.0
    }

    /// Number of coordinates d.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.0.iter().map(TensorLayout::len).sum()
    }

    /// A flat vector as a safetensors file of binary64 with these names and shapes: how an aggregate goes back to the
    /// training program.
    ///
    /// # Errors
    /// [`TensorError::Length`] when the vector has another length.
    pub fn safetensors_of(&self, values: &[f64]) -> Result<Vec<u8>, TensorError> {
        self.write(values, Format::F64, &|value| value.to_le_bytes().to_vec())
    }

    fn write(&self, values: &[f64], format: Format, bytes: &dyn Fn(f64) -> Vec<u8>) -> Result<Vec<u8>, TensorError> {
        self.check_length(values.len())?;
        let data: Vec<Vec<u8>> = self.cut(values).map(|(_, piece)| piece.iter().flat_map(|&v| bytes(v)).collect()).collect();
        let views = self.0.iter().zip(&data).map(|(layout, data)| {
            TensorView::new(format.dtype(), layout.shape.clone(), data).map(|view| (layout.name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(TensorError::File)?;
        safetensors::tensor::serialize(views, None).map_err(TensorError::File)
    }

    fn check_length(&self, found: usize) -> Result<(), TensorError> {
        let expected = self.dimension();
        if found == expected { Ok(()) } else { Err(TensorError::Length { expected, found }) }
    }

    fn cut<'a>(&'a self, mut rest: &'a [f64]) -> impl Iterator<Item = (&'a TensorLayout, &'a [f64])> {
        self.0.iter().map(move |tensor| {
            let (piece, tail) = rest.split_at(tensor.len().min(rest.len()));
            rest = tail;
            (tensor, piece)
        })
    }
}

/// Named tensors with finite values, in canonical order.
#[derive(Clone, PartialEq)]
pub struct Tensors {
    layout: Layout,
    values: Vec<f64>,
}

impl core::fmt::Debug for Tensors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Tensors({} tensors, {} values, redacted)", self.layout.0.len(), self.values.len())
    }
}

impl Tensors {
    /// Tensors of a layout over a flat vector in canonical order.
    ///
    /// # Errors
    /// [`TensorError::Length`], [`TensorError::NotFinite`].
    pub fn new(layout: Layout, values: Vec<f64>) -> Result<Self, TensorError> {
        layout.check_length(values.len())?;
        for (tensor, piece) in layout.cut(&values) {
            if let Some(index) = piece.iter().position(|v| !v.is_finite()) {
                return Err(TensorError::NotFinite { name: tensor.name.clone(), index });
            }
        }
        Ok(Self { layout, values })
    }

    /// Reads a safetensors file.
    ///
    /// # Errors
    /// [`TensorError`] for whatever is not a complete, unambiguous file of finite F16, BF16, F32 or F64 tensors.
    pub fn from_safetensors(file: &[u8]) -> Result<Self, TensorError> {
        if file.len() > MAX_FILE_BYTES {
            return Err(TensorError::TooLarge(file.len()));
        }
        refuse_repeated_names(file)?;
        let parsed = SafeTensors::deserialize(file).map_err(TensorError::File)?;
        let mut found = parsed.tensors();
        found.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        let mut layouts = Vec::with_capacity(found.len());
        for (name, view) in &found {
            let format = Format::of(name, view.dtype())?;
            layouts.push(TensorLayout { name: name.clone(), shape: view.shape().to_vec(), format });
        }
        let layout = Layout::new(layouts)?;
        let pieces = layout.0.iter().zip(&found).flat_map(|(layout, (_, view))| layout.format.read(view.data()));
        let values = pieces.collect();
        Self::new(layout, values)
    }

    /// Names, shapes and formats.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The flat vector in canonical order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values rounded to f32, in canonical order: what digest and successor are computed from.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        self.values.iter().map(|&v| v as f32).collect()
    }

    /// A safetensors file of F32 tensors: the form in which models are exchanged.
    ///
    /// # Errors
    /// [`TensorError::File`] when the library refuses, for example for a name that is not allowed.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, TensorError> {
        self.layout.write(&self.values, Format::F32, &|value| (value as f32).to_le_bytes().to_vec())
    }

    /// The digest of the model; see the module.
    #[must_use]
    pub fn model_digest(&self) -> B256 {
        let mut transcript = Transcript::new("model");
        for (tensor, piece) in self.layout.cut(&self.values) {
            let shape: Vec<u8> = tensor.shape.iter().flat_map(|&side| (side as u64).to_le_bytes()).collect();
            transcript.part(tensor.name.as_bytes()).part(&shape).part_header(4 * piece.len() as u64);
            for value in piece {
                transcript.part_bytes(&(*value as f32).to_le_bytes());
            }
        }
        transcript.finish()
    }
}

/// The digest of a model: the subject of a round that trains it. See the module for the exact bytes.
#[must_use]
pub fn model_digest(model: &Tensors) -> B256 {
    model.model_digest()
}

/// The next model: base plus mean, rounded as the module says.
///
/// # Errors
/// [`TensorError::Length`] when the mean has another length, [`TensorError::NotFinite`] when a sum leaves the range.
pub fn apply_mean(base: &Tensors, mean: &[f64]) -> Result<Tensors, TensorError> {
    base.layout.check_length(mean.len())?;
    let next = add_mean(&base.to_f32(), mean);
    let mut layout = base.layout.clone();
    layout.0.iter_mut().for_each(|tensor| tensor.format = Format::F32);
    Tensors::new(layout, next.into_iter().map(f64::from).collect())
}

/// [`apply_mean`] over flat vectors; the shorter one decides the length.
#[must_use]
pub fn add_mean(base: &[f32], mean: &[f64]) -> Vec<f32> {
    base.iter().zip(mean).map(|(&base, &mean)| (f64::from(base) + mean) as f32).collect()
}

/// The library keeps one of two tensors of one name without a word; which one would be up to the parser.
fn refuse_repeated_names(file: &[u8]) -> Result<(), TensorError> {
    let header = || {
        let (length, rest) = file.split_first_chunk::<8>()?;
        rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
    };
    // A file without a whole header is refused by the library, with its own words.
    let Some(header) = header() else { return Ok(()) };
    let mut parser = serde_json::Deserializer::from_slice(header);
    match parser.deserialize_map(Names) {
        Ok(Some(twice)) => Err(TensorError::Duplicate(twice)),
        Ok(None) | Err(_) => Ok(()),
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Option<String>;

    fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the header of a safetensors file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut twice) = (BTreeSet::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if twice.is_none() && seen.contains(&name) {
                twice = Some(name);
            } else {
                seen.insert(name);
            }
        }
        Ok(twice)
    }
}
