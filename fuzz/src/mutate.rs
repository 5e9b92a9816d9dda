//! Damage: what disks, networks and enemies do to files, and some of what nobody would think of.

use crate::targets::{Kind, Target};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

/// Bytes of a card, and of a FITS block.
const CARD: usize = 80;
const BLOCK: usize = 2880;
/// Inputs do not grow beyond this: small files are tried faster, and find the same.
pub const LARGEST: usize = 1 << 17;
/// Values that readers stumble over, as they stand on a card.
const VALUES: [&str; 26] = [
    "0",
    "1",
    "-1",
    "2",
    "3",
    "8",
    "16",
    "-32",
    "-64",
    "1000000",
    "1000000000000",
    "2147483648",
    "4611686018427387904",
    "9223372036854775807",
    "-9223372036854775808",
    "1E999",
    "NaN",
    "-0.0",
    "T",
    "F",
    "''",
    "'0D'",
    "'1PB(0)'",
    "'GZIP_1'",
    "'''&'",
    "",
];
/// Keywords that say how a file is laid out, or what it holds.
const KEYWORDS: [&str; 36] = [
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "NAXIS3", "PCOUNT", "GCOUNT", "GROUPS", "TFIELDS",
    "THEAP", "TFORM1", "TFORM2", "TTYPE1", "TSCAL1", "TZERO1", "TNULL1", "EXTNAME", "BSCALE", "BZERO", "BLANK",
    "ZIMAGE", "ZTABLE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZNAXIS1", "ZTILE1", "ZVAL1", "ZNAME1", "CHECKSUM", "DATASUM",
    "CONTINUE", "HIERARCH", "END",
];

/// A source of damage: the same seed does the same.
pub struct Damage(Pcg64);

impl Damage {
    /// Damage by a seed.
    pub fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    /// One of the target's seeds, damaged once to four times.
    pub fn next(&mut self, target: &Target, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.damage(&mut bytes, target);
        }
        bytes
    }

    /// Damages some bytes once.
    pub fn damage(&mut self, bytes: &mut Vec<u8>, target: &Target) {
        match target.kind {
            Kind::Words(dictionary) => self.damage_words(bytes, dictionary),
            Kind::File => self.damage_file(bytes),
        }
        bytes.truncate(LARGEST);
    }

    fn below(&mut self, n: usize) -> usize {
        self.0.random_range(0..n.max(1))
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn damage_file(&mut self, bytes: &mut Vec<u8>) {
        match self.below(10) {
            0..=3 => self.set_value(bytes),
            4 => self.set_keyword(bytes),
            5 => self.move_blocks(bytes),
            6 => bytes.truncate(self.below(bytes.len())),
            _ => self.set_bytes(bytes),
        }
    }

    /// Bits, bytes, and numbers of up to eight bytes.
    fn set_bytes(&mut self, bytes: &mut [u8]) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        match self.below(3) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.below(256) as u8,
            _ => {
                let width = 1 << self.below(4);
                let number = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 31, bytes.len() as u64][self.below(6)];
                let number = &number.to_be_bytes()[8 - width..];
                bytes[at..].iter_mut().zip(number).for_each(|(byte, &of)| *byte = of);
            }
        }
    }

    /// The beginning of a card in some header, where there is one.
    fn card(&mut self, bytes: &[u8]) -> Option<usize> {
        let is_card = |&at: &usize| bytes.get(at + 8..at + 10) == Some(b"= ") && at + CARD <= bytes.len();
        let cards: Vec<usize> = (0..bytes.len()).step_by(CARD).filter(is_card).collect();
        (!cards.is_empty()).then(|| cards[self.below(cards.len())])
    }

    fn set_value(&mut self, bytes: &mut [u8]) {
        if let Some(at) = self.card(bytes) {
            let near = self.below(100).to_string();
            let value = if self.below(4) == 0 { &near } else { self.one_of(&VALUES) };
            bytes[at + 10..at + CARD].copy_from_slice(format!("{value:<70}").as_bytes());
        }
    }

    fn set_keyword(&mut self, bytes: &mut [u8]) {
        if let Some(at) = self.card(bytes) {
            let keyword = self.one_of(&KEYWORDS);
            bytes[at..at + 8].copy_from_slice(format!("{keyword:<8}").as_bytes());
        }
    }

    /// Takes a block out, or puts one in again elsewhere.
    fn move_blocks(&mut self, bytes: &mut Vec<u8>) {
        let blocks = bytes.len() / BLOCK;
        let at = self.below(blocks) * BLOCK;
        let block = bytes[at..(at + BLOCK).min(bytes.len())].to_vec();
        if self.below(2) == 0 {
            bytes.drain(at..at + block.len());
        } else {
            let to = (self.below(blocks + 1) * BLOCK).min(bytes.len());
            bytes.splice(to..to, block);
        }
    }

    fn damage_words(&mut self, bytes: &mut Vec<u8>, dictionary: &[&str]) {
        let at = self.below(bytes.len() + 1);
        let to = (at + self.below(8)).min(bytes.len());
        match self.below(5) {
            0 => drop(bytes.drain(at..to)),
            1 => self.set_bytes(bytes),
            2 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let word = self.one_of(dictionary);
                bytes.splice(at..to, word.bytes());
            }
        }
    }
}
