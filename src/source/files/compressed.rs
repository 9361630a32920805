//! Decoding gzip and zstd streams.
//!
//! Members and frames may follow each other. What the decoders refuse reaches the reader as a
//! [`SourceError`] within the system's error; see [`cannot_read`](super::reading::cannot_read).

use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::PathBuf;

use bytesize::ByteSize;
use flate2::bufread::GzDecoder;

use super::super::SourceError;
use super::FileKind;
use super::reading::cannot_read;

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
    file: impl Read + Send + 'static,
    kind: FileKind,
    max_window: u64,
) -> Result<Box<dyn Read + Send>, SourceError> {
    let mut input = BufReader::with_capacity(BUFFER, file);
    let is_empty = input.fill_buf().map(<[u8]>::is_empty);
    if is_empty.map_err(|error| cannot_read(&path, error))? {
        return Err(SourceError::Damaged {
            path,
            reason: "the file is empty".to_owned(),
        });
    }
    Ok(match kind {
        FileKind::Gzip => Box::new(Decoded {
            path,
            input: Members {
                decoder: Some(GzDecoder::new(input)),
            },
        }),
        _ => Box::new(Decoded {
            input: Frames {
                path: path.clone(),
                next: Some((Vec::new(), input)),
                decoder: None,
                window_log: max_window.max(LEAST_WINDOW).ilog2().min(MAX_WINDOW_LOG),
            },
            path,
        }),
    })
}

/// The largest window that zstd knows on 64 bits: 2 GB.
const MAX_WINDOW_LOG: u32 = 31;

/// Names the file in what a decoder refuses.
struct Decoded<R> {
    input: R,
    path: PathBuf,
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|error| {
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

/// The longest head of a zstd frame: RFC 8878, section 3.1.1.1.
const FRAME_HEAD: usize = 18;

type WithHead<R> = Chain<Cursor<Vec<u8>>, R>;

/// zstd frames one after the other, each of whose windows is looked at before it is decoded.
struct Frames<R: BufRead> {
    path: PathBuf,
    /// What is behind the frames that were decoded: some bytes that were looked at, and the rest.
    next: Option<(Vec<u8>, R)>,
    decoder: Option<zstd::stream::read::Decoder<'static, WithHead<R>>>,
    window_log: u32,
}

impl<R: BufRead> Frames<R> {
    /// Begins with the next frame; `false` if there is none.
    fn begin(&mut self) -> io::Result<bool> {
        let Some((mut head, mut input)) = self.next.take() else {
            return Ok(false);
        };
        let wanted = FRAME_HEAD.saturating_sub(head.len()) as u64;
        (&mut input).take(wanted).read_to_end(&mut head)?;
        if head.is_empty() {
            return Ok(false);
        }
        let window = window(&head);
        if window > 1 << self.window_log {
            return Err(io::Error::other(self.too_wide(window)));
        }
        let whole = Cursor::new(head).chain(input);
        let mut decoder = zstd::stream::read::Decoder::with_buffer(whole)?.single_frame();
        decoder.window_log_max(self.window_log)?;
        self.decoder = Some(decoder);
        Ok(true)
    }

    fn too_wide(&self, window: u64) -> SourceError {
        let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
        SourceError::Unsupported {
            path: self.path.clone(),
            what: format!(
                "a zstd frame with a window of {}; up to {} are read",
                size(window),
                size(1 << self.window_log)
            ),
            hint: format!(
                "recompress it (zstd -dc --long=31 FILE | zstd -o NEW.zst), or set limits.in_flight to {} or more if there is so much memory for each fetcher",
                size(window)
            ),
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let Some(decoder) = &mut self.decoder else {
                match self.begin()? {
                    true => continue,
                    false => return Ok(0),
                }
            };
            let n = decoder.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            self.next = self.decoder.take().map(|decoder| {
                let (head, input) = decoder.finish().into_inner();
                let used = head.position() as usize;
                // A frame may be shorter than the longest head.
                (head.into_inner().split_off(used), input)
            });
        }
    }
}

/// The window that a frame asks for, in bytes; 0 of what is no frame with content.
fn window(head: &[u8]) -> u64 {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = head else {
        return 0;
    };
    if descriptor & 0x20 == 0 {
        let window = rest.first().map_or(0, |window| *window);
        let base = 1u64 << (10 + (window >> 3));
        return base + base / 8 * u64::from(window & 7);
    }
    // A single segment: the window is the content, whose size lies behind the dictionary's id.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let bytes = rest.get(dictionary..dictionary + size).unwrap_or_default();
    let bytes = bytes.iter().rev();
    let content = bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    content + if size == 2 { 256 } else { 0 }
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
        input.read_to_end(&mut out).map(|_| out)
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
            open(path.clone(), file, FileKind::Zstd, max_window)
                .expect("there")
                .read_to_end(&mut out)
                .map(|_| out)
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
