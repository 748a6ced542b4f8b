//! Arbitrary bytes, taken apart into choices and blocks; and the same put together, for what is valid to begin with.
//! Promise: there is no end to it. What is asked for behind the last byte is zero, or empty.

pub struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// One of several.
    pub fn pick<'b, T>(&mut self, from: &'b [T]) -> &'b T {
        &from[self.byte() as usize % from.len()]
    }

    /// A length of two bytes, and so many bytes; fewer if there are not so many.
    pub fn block(&mut self) -> &'a [u8] {
        let length = u16::from_le_bytes([self.byte(), self.byte()]);
        self.take(usize::from(length))
    }

    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.block()).into_owned()
    }

    pub fn rest(&mut self) -> &'a [u8] {
        self.take(self.0.len())
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// What an [`Input`] reads.
#[derive(Clone, Default)]
pub struct Output(Vec<u8>);

impl Output {
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn block(mut self, bytes: &[u8]) -> Self {
        let length = u16::try_from(bytes.len()).expect("a seed's block is short");
        self.0.extend(length.to_le_bytes());
        self.rest(bytes)
    }

    pub fn rest(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
