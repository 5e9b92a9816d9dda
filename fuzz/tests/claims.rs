//! Files made to hurt: each claims, or holds in a few bytes, more than a machine has. They are refused at once, and take
//! no more memory than any file of their size.

use fitsio_pure::gzip::compress;
use spextral::fits::{FitsError, read_fibermap, read_image_f64};
use spextral_fuzz::memory::{Counting, most_during};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Buffers of the threads that unpack gzip, and a short tile of an image.
const BUFFERS: usize = 48 << 20;

fn header(cards: &[String]) -> Vec<u8> {
    let text: String = cards.iter().chain(&["END".to_string()]).map(|card| format!("{card:<80}")).collect();
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes
}

fn image(name: &str, nx: u64, ny: u64) -> Vec<u8> {
    let cards = ["SIMPLE  = T", "BITPIX  = -32", "NAXIS   = 2"].map(String::from).to_vec();
    let axes = [format!("NAXIS1  = {nx}"), format!("NAXIS2  = {ny}"), format!("EXTNAME = '{name}'")];
    header(&[cards, axes.to_vec()].concat())
}

/// A table of rows of so many bytes, and its heap: both are in `data`.
fn table(cards: &[&str], [row, rows]: [usize; 2], data: &[u8]) -> Vec<u8> {
    let primary = header(&["SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 0"].map(String::from));
    let lead = ["XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "GCOUNT  = 1", "EXTNAME = 'IMAGE'"];
    let heap = data.len() - row * rows;
    let sizes = [format!("NAXIS1  = {row}"), format!("NAXIS2  = {rows}"), format!("PCOUNT  = {heap}")];
    let all = lead.iter().chain(cards).map(|card| card.to_string()).chain(sizes).collect::<Vec<_>>();
    let mut bytes = [primary, header(&all), data.to_vec()].concat();
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// An image of two gzipped rows of five pixels; both are the same bytes, or the second is empty.
fn tiles(bytes: &[u8], both: bool) -> Vec<u8> {
    let cards = ["TFIELDS = 1", "TFORM1  = '1PB'", "TTYPE1  = 'COMPRESSED_DATA'", "ZIMAGE  = T", "ZCMPTYPE= 'GZIP_1'"];
    let shape = ["ZBITPIX = 32", "ZNAXIS  = 2", "ZNAXIS1 = 5", "ZNAXIS2 = 2"];
    let first = [(bytes.len() as u32).to_be_bytes(), [0; 4]].concat();
    let second = if both { first.clone() } else { vec![0; 8] };
    table(&[&cards[..], &shape].concat(), [8, 2], &[first, second, bytes.to_vec()].concat())
}

/// The most memory held while a file is read as an image, and what came of it.
fn read(bytes: &[u8]) -> (usize, Result<usize, FitsError>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let mut result = None;
    let most = most_during(|| result = Some(read_image_f64(file.path(), "IMAGE").map(|(_, pixels)| pixels.len())));
    (most, result.unwrap())
}

#[track_caller]
fn refused(bytes: &[u8], words: &str) {
    let (most, result) = read(bytes);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(words), "{error}");
    assert!(most < BUFFERS, "{} bytes made it hold {most}: {words}", bytes.len());
}

/// In one test: the allocator counts for all threads.
#[test]
fn no_claim_and_no_bomb_takes_more_memory_or_time_than_its_file() {
    let start = Instant::now();
    let claim = image("IMAGE", 1_000_000, 1_000_000);
    refused(&claim, "truncated");
    // A trillion pixels, gzipped, with a hundred megabytes of zeros to begin with.
    let zeros = vec![0; 100 << 20];
    refused(&compress(&[claim, zeros.clone()].concat(), 6), "more than the 1073741824 that a gzip file of its size");
    // A header that does not end.
    refused(&compress(&[b"SIMPLE  = T".to_vec(), vec![b' '; 100 << 20]].concat(), 6), "no END within");
    // What follows the last HDU is not kept.
    let small = [image("IMAGE", 720, 1), vec![0; 2880]].concat();
    let (most, result) = read(&compress(&[small, zeros.clone()].concat(), 6));
    assert!(most < BUFFERS && result.unwrap() == 720, "{most}");

    refused(&tiles(&compress(&zeros, 6), false), "unpacks to more than its pixels");
    let many: Vec<u8> = std::iter::repeat_n(compress(&[], 6), 50_000).flatten().collect();
    refused(&tiles(&many, false), "unpacks to more than its pixels");
    refused(&tiles(&compress(&[0; 20], 6), true), "tiles that overlap");

    let nothing =
        ["TFIELDS = 2", "TFORM1  = '1PB'", "TTYPE1  = 'COMPRESSED_DATA'", "TFORM2  = '0D'", "TTYPE2  = 'ZSCALE'"];
    let shape = ["ZIMAGE  = T", "ZCMPTYPE= 'RICE_1'", "ZBITPIX = -32", "ZNAXIS  = 1", "ZNAXIS1 = 5", "ZZERO   = 0.0"];
    refused(
        &table(&[&nothing[..], &shape].concat(), [8, 1], &[&[0, 0, 0, 4, 0, 0, 0, 0][..], &[1; 4]].concat()),
        "has no values",
    );

    // Rice in blocks of no pixels, whatever the parameter is called.
    for name in ["BLOCKSIZE", "ANOTHER"] {
        let name = format!("ZNAME1  = '{name}'");
        let cards =
            ["TFIELDS = 1", "TFORM1  = '1PB'", "TTYPE1  = 'COMPRESSED_DATA'", "ZIMAGE  = T", "ZCMPTYPE= 'RICE_1'"];
        let shape = ["ZBITPIX = 32", "ZNAXIS  = 1", "ZNAXIS1 = 5", &name, "ZVAL1   = 0"];
        let heap = [&[0, 0, 0, 8, 0, 0, 0, 0][..], &[1; 8]].concat();
        refused(&table(&[&cards[..], &shape].concat(), [8, 1], &heap), "Rice BLOCKSIZE of 0");
    }

    // As many tiles as pixels, in rows of no bytes, in a thousand columns.
    let heap = vec![0; 1 << 20];
    let columns: Vec<String> =
        (1..=998).flat_map(|n| [format!("TFORM{n:<3}= '0B'"), format!("TTYPE{n:<3}= 'X'")]).collect();
    let pixels = format!("ZNAXIS1 = {}", 1 << 28);
    let cards =
        ["TFIELDS = 998", "ZIMAGE  = T", "ZCMPTYPE= 'RICE_1'", "ZBITPIX = 8", "ZNAXIS  = 1", "ZTILE1  = 1", &pixels];
    let cards: Vec<&str> = cards.into_iter().chain(columns.iter().map(String::as_str)).collect();
    refused(&table(&cards, [0, 1 << 28], &heap), "rows of 0 bytes");

    // A million rows without arrays, in a thousand columns of them.
    let columns: Vec<String> = (2..=998).map(|n| format!("TFORM{n:<3}= '0PB'")).collect();
    let cards: Vec<&str> =
        ["TFIELDS = 998", "TFORM1  = '1B'"].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), table(&cards, [1, 10 << 20], &vec![0; 10 << 20])).unwrap();
    let most = most_during(|| assert_eq!(read_fibermap(file.path()).unwrap().nrows(), 10 << 20));
    assert!(most < 6 * (10 << 20), "{most}");
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}
