//! What chance makes of an input.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Numbers at the edges of what machines and people count with.
const NUMBERS: [&str; 19] = [
    "0",
    "-0",
    "1",
    "-1",
    "9",
    "10",
    "255",
    "256",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551616",
    "1e308",
    "1e-308",
    "1e999",
    "0.1",
];

/// Pieces of the languages that are spoken here.
const PIECES: [&str; 44] = [
    "\0",
    "\n",
    "\r\n",
    " ",
    "\t",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "NaN",
    "inf",
    "%00",
    "%",
    "%ff",
    "&",
    "=",
    "+",
    "-",
    "/",
    "@",
    "?",
    "#",
    "*",
    "L",
    "W",
    "<",
    ">",
    "&amp;",
    "\u{feff}",
    "é",
    "\u{1f3c3}",
    "$-1\r\n",
    "*3\r\n",
];

pub(super) struct Changes(StdRng);

impl Changes {
    /// The future follows from the seed and the target's name.
    pub(super) fn new(seed: u64, name: &str) -> Changes {
        let own = name.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        Changes(StdRng::seed_from_u64(own))
    }

    /// A number below `end`; 0 where there is none.
    pub(super) fn below(&mut self, end: usize) -> usize {
        if end == 0 { 0 } else { self.0.random_range(0..end) }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a [u8] {
        of[self.below(of.len())].as_bytes()
    }

    /// One of these, changed once or some times.
    pub(super) fn of(&mut self, kept: &[Vec<u8>]) -> Vec<u8> {
        let mut input = kept[self.below(kept.len())].clone();
        let most = [1, 1, 2, 4, 16][self.below(5)];
        for _ in 0..=self.below(most) {
            self.change(&mut input, kept);
        }
        input.truncate(64 << 10);
        input
    }

    /// A piece of it: where, and how long.
    fn span(&mut self, length: usize) -> std::ops::Range<usize> {
        let at = self.below(length + 1);
        let most = [4, 16, 64, 1_024][self.below(4)];
        at..(at + self.below(most)).min(length)
    }

    fn change(&mut self, input: &mut Vec<u8>, kept: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        match self.below(12) {
            0 if !input.is_empty() => {
                let at = at % input.len();
                input[at] ^= 1 << self.below(8);
            }
            1 if !input.is_empty() => {
                let at = at % input.len();
                input[at] = self.below(256) as u8;
            }
            2 | 3 => drop(input.drain(self.span(input.len()))),
            4 => input.truncate(at),
            5 => {
                let piece = input[self.span(input.len())].to_vec();
                let times = [1, 2, 100][self.below(3)];
                drop(input.splice(at..at, piece.repeat(times)));
            }
            6 => {
                let piece = self.one(&PIECES);
                input.splice(at..at, piece.iter().copied());
            }
            7 => {
                let (span, piece) = (self.span(input.len()), self.one(&PIECES));
                input.splice(span, piece.iter().copied());
            }
            8 | 9 => self.number(input, at),
            _ => {
                let other = &kept[self.below(kept.len())];
                let (span, piece) = (self.span(input.len()), other[self.span(other.len())].to_vec());
                input.splice(span, piece);
            }
        }
    }

    /// Puts another number in place of the next one.
    fn number(&mut self, input: &mut Vec<u8>, from: usize) {
        let digit = |byte: &u8| byte.is_ascii_digit();
        let begin = from + input[from..].iter().position(digit).unwrap_or(0);
        let end = begin + input[begin..].iter().take_while(|byte| digit(byte)).count();
        let number = self.one(&NUMBERS);
        input.splice(begin..end, number.iter().copied());
    }
}
