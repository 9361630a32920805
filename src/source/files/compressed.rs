//! Decoding gzip and zstd streams.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use flate2::bufread::GzDecoder;

use super::super::SourceError;
use super::FileKind;

/// zstd frames may ask for windows up to 128 MB (`--long=27`); more would break the memory bound.
const ZSTD_WINDOW_LOG: u32 = 27;

const BUFFER: usize = 256 * 1024;

/// Opens a compressed file for reading.
///
/// # Errors
/// If it cannot be opened, or is empty: even no lines make some bytes.
pub fn open(path: PathBuf, kind: FileKind) -> Result<Box<dyn Read + Send>, SourceError> {
    let io = |error| SourceError::Io {
        path: path.clone(),
        error,
    };
    let file = File::open(&path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Err(SourceError::Damaged {
            path,
            reason: "the file is empty".to_owned(),
        });
    }
    let input = BufReader::with_capacity(BUFFER, file);
    if kind == FileKind::Gzip {
        return Ok(Box::new(Members {
            decoder: Some(GzDecoder::new(input)),
        }));
    }
    let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(io)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(io)?;
    Ok(Box::new(decoder))
}

/// gzip members one after the other; anything else behind a member is damage.
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
            if !rest.fill_buf()?.is_empty() {
                self.decoder = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let mut input = open(path, kind).map_err(io::Error::other)?;
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
