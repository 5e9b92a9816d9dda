//! The cards at the beginning of a file, without its pixels.

use crate::frame::Header;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Bytes of a block of cards.
const BLOCK: usize = 2880;
/// Most blocks that are read: more cards than any exposure has.
const MOST_BLOCKS: usize = 400;

/// Reads the cards of the first HDU with pixels: of a preproc file those of its image, plain, gzipped or tile-compressed. None
/// where the beginning of the file is no FITS; whoever reads all of it finds out why.
pub fn read_first_cards(path: impl AsRef<Path>) -> Option<Header> {
    let path = path.as_ref();
    let open = || Some(BufReader::new(File::open(path).ok()?));
    let mut magic = [0; 2];
    open()?.read_exact(&mut magic).ok()?;
    match magic {
        [0x1f, 0x8b] => cards_of(MultiGzDecoder::new(open()?)),
        _ => cards_of(open()?),
    }
}

fn cards_of(mut file: impl Read) -> Option<Header> {
    let (mut records, mut block) = (Vec::new(), [0; BLOCK]);
    for _ in 0..MOST_BLOCKS {
        file.read_exact(&mut block).ok()?;
        records.extend_from_slice(&block);
        if block.chunks(80).any(|card| card.starts_with(b"END     ")) {
            let header = Header::from_records(&records);
            if header.get_i64("NAXIS")? > 0 {
                return Some(header);
            }
            // No pixels: the next HDU begins here.
            records.clear();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(cards: &[&str]) -> Vec<u8> {
        let mut text: String = cards.iter().chain(&["END"]).map(|card| format!("{card:<80}")).collect();
        text += &" ".repeat(BLOCK - text.len());
        text.into_bytes()
    }

    #[test]
    fn cards_are_those_of_the_first_image_also_behind_an_empty_hdu() {
        let empty = block(&["SIMPLE  =                    T", "NAXIS   =                    0"]);
        let image = block(&["NAXIS   =                    2", "OBSTYPE = 'SKY     '"]);
        let header = cards_of(&[&image[..], &[7; 10]].concat()[..]).unwrap();
        assert_eq!(header.get_str("OBSTYPE").as_deref(), Some("SKY"));
        let header = cards_of(&[empty.clone(), image].concat()[..]).unwrap();
        assert_eq!(header.get_str("OBSTYPE").as_deref(), Some("SKY"));
        assert!(cards_of(&empty[..]).is_none() && cards_of(&b"no FITS"[..]).is_none());
    }
}
