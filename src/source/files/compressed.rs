//! Decoding gzip and zstd streams.
//!
//! Members and frames may follow each other. What the decoders refuse reaches the reader as a
//! [`SourceError`] within the system's error; see [`cannot_read`](super::reading::cannot_read).

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;

use flate2::bufread::GzDecoder;

use super::super::SourceError;
use super::FileKind;
use super::reading::{TextStream, cannot_read, read_some};
use frames::Frames;

mod frames;

/// The window that a zstd frame may ask for in any case: what `--long` and `--ultra -22` ask for.
pub const LEAST_WINDOW: u64 = 128 << 20;

const BUFFER: usize = 256 * 1024;

/// Decodes a compressed file. A zstd frame may ask for a window of `max_window` bytes,
/// and in any case of [`LEAST_WINDOW`].
///
/// # Errors
/// If it cannot be read, or is empty: even no lines make some bytes.
pub fn open(
    path: PathBuf,
    mut file: impl Read + Send + 'static,
    kind: FileKind,
    max_window: u64,
) -> Result<Box<dyn TextStream>, SourceError> {
    let mut start = vec![0; BUFFER];
    let read = read_some(&mut file, &mut start);
    start.truncate(read.map_err(|error| cannot_read(&path, error))?);
    if start.is_empty() {
        return Err(SourceError::Damaged {
            path,
            reason: "the file is empty".to_owned(),
        });
    }
    Ok(match kind {
        FileKind::Gzip => {
            let whole = Cursor::new(start).chain(file);
            let input = BufReader::with_capacity(BUFFER, whole);
            Box::new(Decoded {
                path,
                input: Members {
                    decoder: Some(GzDecoder::new(input)),
                },
            })
        }
        _ => {
            let window = max_window.max(LEAST_WINDOW);
            let frames = Frames::new(path.clone(), start, file, window);
            let input = frames.map_err(|error| cannot_read(&path, error))?;
            Box::new(Decoded { path, input })
        }
    })
}

/// Names the file in what a decoder refuses.
struct Decoded<R> {
    input: R,
    path: PathBuf,
}

impl<R: TextStream> TextStream for Decoded<R> {
    fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
        self.input.append(bytes, wanted).map_err(|error| {
            let is_ours = error
                .get_ref()
                .is_some_and(|inner| inner.is::<SourceError>());
            // The system's errors have a number, the decoders' have none.
            if is_ours
                || error.raw_os_error().is_some()
                || error.kind() == io::ErrorKind::Interrupted
            {
                return error;
            }
            io::Error::other(SourceError::Damaged {
                path: self.path.clone(),
                reason: error.to_string(),
            })
        })
    }

    fn memory(&self) -> u64 {
        self.input.memory()
    }
}

/// gzip members one after the other, perhaps padded with zeros behind the last one (as tapes and
/// block devices are); anything else behind a member is damage.
struct Members<R: BufRead> {
    decoder: Option<GzDecoder<R>>,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(decoder) = &mut self.decoder {
            let n = decoder.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            let Some(decoder) = self.decoder.take() else {
                break;
            };
            let mut rest = decoder.into_inner();
            match rest.fill_buf()?.first() {
                None => {}
                Some(0) => only_zeros(&mut rest)?,
                Some(_) => self.decoder = Some(GzDecoder::new(rest)),
            }
        }
        Ok(0)
    }
}

fn only_zeros(rest: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = rest.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            let what = "there is something else than zeros behind its last gzip member";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        rest.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    fn gz(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    fn read(name: &str, kind: FileKind, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        let mut out = Vec::new();
        let file = File::open(&path)?;
        let mut input = open(path, file, kind, 0).map_err(io::Error::other)?;
        while !input.append(&mut out, 100)? {}
        Ok(out)
    }

    #[test]
    fn members_and_frames_are_read_one_after_the_other() {
        let two = [gz(b"a\n"), gz(b"b\n")].concat();
        assert_eq!(read("x", FileKind::Gzip, &two).expect("good"), b"a\nb\n");
        let zst = |text: &[u8]| zstd::encode_all(text, 1).expect("memory");
        let two = [zst(b"a\n"), zst(b"b\n")].concat();
        assert_eq!(read("x", FileKind::Zstd, &two).expect("good"), b"a\nb\n");
    }

    #[test]
    fn zeros_behind_the_last_gzip_member_are_padding_and_nothing_else_is() {
        let padded = [gz(b"a\n"), gz(b"b\n"), vec![0; 300_000]].concat();
        assert_eq!(read("x", FileKind::Gzip, &padded).expect("good"), b"a\nb\n");
        for behind in [&b"x"[..], &gz(b"c\n")] {
            let bad = [&padded[..], behind].concat();
            let error = read("x", FileKind::Gzip, &bad).expect_err("damaged");
            assert!(error.to_string().contains("zeros"), "{error}");
        }
    }

    /// A frame as `zstd --long=N` makes it.
    fn long(text: &[u8], window_log: u32) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(window_log).expect("known");
        encoder.write_all(text).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn a_zstd_window_is_read_up_to_the_limit_and_else_named_with_what_to_do() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.jsonl.zst");
        let read = |max_window| {
            let mut out = Vec::new();
            let file = File::open(&path).expect("there");
            let mut input = open(path.clone(), file, FileKind::Zstd, max_window).expect("there");
            while !input.append(&mut out, 100)? {}
            Ok::<_, io::Error>(out)
        };
        // Behind a frame that is fine, and one that is only skipped.
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let frames = [long(b"a\n", 20), skippable, long(b"b\n", 28)].concat();
        std::fs::write(&path, frames).expect("writable");
        let error = super::super::reading::cannot_read(&path, read(1 << 20).expect_err("wide"));
        let SourceError::Unsupported { what, hint, .. } = &error else {
            panic!("{error}");
        };
        assert!(
            what.contains("256.0 MiB") && what.contains("128.0 MiB"),
            "{what}"
        );
        assert!(hint.contains("zstd -dc --long=31"), "{hint}");
        assert!(!error.to_string().contains("damaged"), "{error}");
        assert_eq!(read(1 << 28).expect("allowed"), b"a\nb\n");
        std::fs::write(&path, long(b"a\n", 27)).expect("writable");
        assert_eq!(read(0).expect("always allowed"), b"a\n");
    }

    #[test]
    fn what_a_frame_needs_is_asked_for_before_it_is_decoded() {
        let frames = [
            long(b"a\n", 20),
            long(b"b\n", 24),
            long(b"c\n", 20),
            long(b"d\n", 24),
        ];
        let file = io::Cursor::new(frames.concat());
        let mut input = open("x.zst".into(), file, FileKind::Zstd, 0).expect("good");
        let first = input.memory();
        assert!((1 << 20..2 << 20).contains(&first), "{first}");
        let mut out = Vec::new();
        assert!(!input.append(&mut out, 100).expect("good"));
        assert_eq!((&out[..], input.memory() - first), (&b"a\n"[..], 15 << 20));
        assert!(input.append(&mut out, 100).expect("good"));
        assert_eq!(
            (&out[..], input.memory() - first),
            (&b"a\nb\nc\nd\n"[..], 15 << 20)
        );
    }

    #[test]
    fn frames_without_content_are_passed() {
        let empty = [&[0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0][..], &long(b"", 20)].concat();
        let frames = [empty.repeat(100_000), long(b"a\n", 20)].concat();
        assert_eq!(read("x", FileKind::Zstd, &frames).expect("good"), b"a\n");
    }

    #[test]
    fn cut_flipped_and_trailing_bytes_are_damage() {
        let text = b"some text that is long enough to be cut\n".repeat(100);
        let zst = zstd::encode_all(&text[..], 1).expect("memory");
        for (kind, good) in [(FileKind::Gzip, gz(&text)), (FileKind::Zstd, zst)] {
            for bad in [
                &good[..good.len() - 3],
                &good[..good.len() / 2],
                &[&good[..], b"garbage!"].concat(),
                b"",
            ] {
                assert!(read("x", kind, bad).is_err(), "{kind:?} {}", bad.len());
            }
        }
    }
}
