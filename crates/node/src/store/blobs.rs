//! Blobs: headers and masked vectors by the contribution's digest, which covers both; output shares and aggregates by
//! their round. Vectors are read in pieces, and written from where they lie.
//!
//! A masked vector is written to a temporary file while it arrives and takes its name only when it is complete and has
//! the announced hash.

use super::StoreError;
use alloy_primitives::B256;
use bytes::Bytes;
use consilium_core::codec::Elements;
use consilium_core::field::{self, Fp};
use consilium_core::transcript::Transcript;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use std::ops::Range;
use std::sync::Arc;

/// Bytes that are read at once, or collected before they are written.
const PART: usize = 1 << 20;

/// A blob's bytes in pieces, each read when it is asked for.
pub(crate) type Pieces = BoxStream<'static, Result<Bytes, Error>>;

/// The node's blobs.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    store: Arc<dyn ObjectStore>,
}

fn header_path(digest: &B256) -> Path {
    Path::from(format!("contributions/{}/header", hex::encode(digest)))
}

fn values_path(digest: &B256) -> Path {
    Path::from(format!("contributions/{}/values", hex::encode(digest)))
}

fn share_path(study: u64, round: u64) -> Path {
    Path::from(format!("rounds/{study}/{round}/share"))
}

fn aggregate_path(study: u64, round: u64) -> Path {
    Path::from(format!("rounds/{study}/{round}/aggregate"))
}

impl Blobs {
    /// Blobs in a local folder.
    pub(crate) fn in_folder(folder: &std::path::Path, fsync: bool) -> Result<Self, StoreError> {
        std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(StoreError::Blob)?;
        Ok(Self { store: Arc::new(store.with_automatic_cleanup(true).with_fsync(fsync)) })
    }

    async fn read(&self, path: &Path) -> Result<Option<Bytes>, StoreError> {
        let got = match self.store.get(path).await {
            Ok(got) => got.bytes().await,
            Err(error) => Err(error),
        };
        match got {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::Blob(error)),
        }
    }

    /// The first content that a name gets is the one that it keeps.
    async fn write_once(&self, path: &Path, bytes: Bytes) -> Result<(), StoreError> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(path, bytes.into(), options).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(error) => Err(StoreError::Blob(error)),
        }
    }

    /// A blob with its length.
    async fn stream(&self, path: Path) -> Result<Option<(u64, Pieces)>, StoreError> {
        let length = match self.store.head(&path).await {
            Ok(found) => found.size,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(StoreError::Blob(error)),
        };
        let store = Arc::clone(&self.store);
        let pieces = futures::stream::iter((0..length).step_by(PART)).then(move |start| {
            let (store, path) = (Arc::clone(&store), path.clone());
            let range = start..length.min(start + PART as u64);
            async move { store.get_range(&path, range).await }
        });
        Ok(Some((length, pieces.boxed())))
    }

    pub(crate) async fn header(&self, digest: &B256) -> Result<Option<Bytes>, StoreError> {
        self.read(&header_path(digest)).await
    }

    pub(crate) async fn put_header(&self, digest: &B256, bytes: Bytes) -> Result<(), StoreError> {
        self.write_once(&header_path(digest), bytes).await
    }

    /// Some bytes of a masked vector; an error if it ends before them.
    pub(crate) async fn values_piece(&self, digest: &B256, range: Range<u64>) -> Result<Option<Bytes>, StoreError> {
        let wanted = range.end - range.start;
        let (path, end) = (values_path(digest), range.end);
        match self.store.get_range(&path, range).await {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(Some(bytes)),
            Ok(_) => Err(StoreError::Lost(*digest)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => {
                let cut_off = self.store.head(&path).await.is_ok_and(|found| found.size < end);
                Err(if cut_off { StoreError::Lost(*digest) } else { StoreError::Blob(error) })
            }
        }
    }

    /// Whether header and masked vector are here.
    pub(crate) async fn holds(&self, digest: &B256) -> Result<bool, StoreError> {
        for path in [values_path(digest), header_path(digest)] {
            match self.store.head(&path).await {
                Ok(_) => {}
                Err(Error::NotFound { .. }) => return Ok(false),
                Err(error) => return Err(StoreError::Blob(error)),
            }
        }
        Ok(true)
    }

    /// The masked vector piece by piece, with its length.
    pub(crate) async fn stream_values(&self, digest: &B256) -> Result<Option<(u64, Pieces)>, StoreError> {
        self.stream(values_path(digest)).await
    }

    /// Starts to write a masked vector of exactly `length` bytes.
    pub(crate) async fn upload_values(&self, digest: &B256, length: usize) -> Result<ValuesUpload, StoreError> {
        let upload = self.store.put_multipart(&values_path(digest)).await.map_err(StoreError::Blob)?;
        let mut hash = Transcript::new("values");
        hash.part_header(length as u64);
        Ok(ValuesUpload { upload, hash, pending: Vec::new() })
    }

    /// The output share piece by piece, with its length.
    pub(crate) async fn stream_share(&self, study: u64, round: u64) -> Result<Option<(u64, Pieces)>, StoreError> {
        self.stream(share_path(study, round)).await
    }

    /// The bytes of the output share, whatever they are.
    pub(crate) async fn share_bytes(&self, study: u64, round: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(&share_path(study, round)).await
    }

    /// The output share, of `length` elements.
    pub(crate) async fn share(&self, study: u64, round: u64, length: usize) -> Result<Option<Vec<Fp>>, StoreError> {
        let Some((_, mut pieces)) = self.stream_share(study, round).await? else { return Ok(None) };
        let damaged = |_| StoreError::Damaged("output share".into());
        let mut elements = Elements::new(length, "output share");
        while let Some(piece) = pieces.next().await {
            elements.push(&piece.map_err(StoreError::Blob)?).map_err(damaged)?;
        }
        elements.finish().map(Some).map_err(damaged)
    }

    pub(crate) async fn put_share(&self, study: u64, round: u64, share: Arc<Vec<Fp>>) -> Result<(), StoreError> {
        self.write_once(&share_path(study, round), Bytes::from_owner(field::into_bytes(share))).await
    }

    /// The aggregate piece by piece, with its length.
    pub(crate) async fn stream_aggregate(&self, study: u64, round: u64) -> Result<Option<(u64, Pieces)>, StoreError> {
        self.stream(aggregate_path(study, round)).await
    }

    /// The bytes of the aggregate, whatever they are.
    pub(crate) async fn aggregate_bytes(&self, study: u64, round: u64) -> Result<Option<Bytes>, StoreError> {
        self.read(&aggregate_path(study, round)).await
    }

    pub(crate) async fn put_aggregate(&self, study: u64, round: u64, aggregate: Arc<Vec<Fp>>) -> Result<(), StoreError> {
        let bytes = Bytes::from_owner(field::into_bytes(aggregate));
        self.store.put(&aggregate_path(study, round), bytes.into()).await.map(drop).map_err(StoreError::Blob)
    }

    /// Deletes a contribution's header, with the boxes in it, and its masked vector.
    pub(crate) async fn forget(&self, digest: &B256) -> Result<(), StoreError> {
        for path in [values_path(digest), header_path(digest)] {
            match self.store.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(StoreError::Blob(error)),
            }
        }
        Ok(())
    }
}

/// A masked vector on its way to the disk. Dropped before [`Self::finish`] it leaves nothing behind.
pub(crate) struct ValuesUpload {
    upload: Box<dyn MultipartUpload>,
    hash: Transcript,
    pending: Vec<u8>,
}

impl ValuesUpload {
    /// Takes the next piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.hash.part_bytes(piece);
        self.pending.extend_from_slice(piece);
        if self.pending.len() >= PART { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        let part = Bytes::from(std::mem::take(&mut self.pending));
        self.upload.put_part(part.into()).await.map_err(StoreError::Blob)
    }

    /// Gives the vector its name if it has this hash; otherwise nothing is kept and the answer is `false`.
    pub(crate) async fn finish(mut self, expected: &B256) -> Result<bool, StoreError> {
        if self.hash.finish() != *expected {
            let _gone = self.upload.abort().await;
            return Ok(false);
        }
        self.flush().await?;
        self.upload.complete().await.map_err(StoreError::Blob)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use consilium_core::transcript::values_hash;

    fn files(folder: &std::path::Path) -> usize {
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap()).map(|e| if e.path().is_dir() { files(&e.path()) } else { 1 }).sum()
    }

    #[tokio::test]
    async fn a_vector_gets_its_name_only_when_it_is_complete_and_authentic() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path(), true).unwrap();
        let (digest, bytes) = (B256::repeat_byte(1), vec![7; 3 * PART + 5]);
        let address = values_hash(&bytes);

        let mut wrong = blobs.upload_values(&digest, bytes.len()).await.unwrap();
        wrong.write(&bytes[1..]).await.unwrap();
        assert!(!wrong.finish(&address).await.unwrap());
        let mut broken_off = blobs.upload_values(&digest, bytes.len()).await.unwrap();
        broken_off.write(&bytes[..PART]).await.unwrap();
        drop(broken_off);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(files(folder.path()), 0);

        let mut right = blobs.upload_values(&digest, bytes.len()).await.unwrap();
        for piece in bytes.chunks(1000) {
            right.write(piece).await.unwrap();
        }
        assert!(right.finish(&address).await.unwrap());
        let length = bytes.len() as u64;
        let mut back = Vec::new();
        for start in (0..length).step_by(PART) {
            let end = length.min(start + PART as u64);
            back.extend(blobs.values_piece(&digest, start..end).await.unwrap().unwrap());
        }
        assert_eq!(back, bytes);
        assert!(blobs.values_piece(&digest, length..length + 1).await.is_err());
        blobs.forget(&digest).await.unwrap();
        assert_eq!((blobs.values_piece(&digest, 0..1).await.unwrap(), files(folder.path())), (None, 0));
    }

    #[tokio::test]
    async fn a_share_once_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::in_folder(folder.path(), false).unwrap();
        let length = PART / 8 + 3;
        let [first, second] = [1, 2].map(|value| Arc::new(vec![Fp::reduce(value); length]));
        assert_eq!(blobs.share(1, 2, length).await.unwrap(), None);
        blobs.put_share(1, 2, Arc::clone(&first)).await.unwrap();
        blobs.put_share(1, 2, second).await.unwrap();
        assert_eq!(blobs.share(1, 2, length).await.unwrap(), Some(first.to_vec()));
        assert_eq!(blobs.share_bytes(1, 2).await.unwrap().unwrap(), field::to_bytes(&first));
        assert!(matches!(blobs.share(1, 2, length - 1).await, Err(StoreError::Damaged(_))));
        let (stated, pieces) = blobs.stream_share(1, 2).await.unwrap().unwrap();
        let pieces: Vec<Bytes> = pieces.map(Result::unwrap).collect().await;
        assert_eq!((stated, pieces.len()), (8 * length as u64, 2));
        assert_eq!(pieces.concat(), field::to_bytes(&first));
    }
}
