//! The fields of a record: numbers are little-endian, bytes have their length before them.

use super::RestoreError;

/// One record as it is written: a tag, then fields.
pub(super) struct Record(pub Vec<u8>);

impl Record {
    pub fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn texts(self, texts: &[String]) -> Self {
        texts.iter().fold(self.number(texts.len() as u64), |record, text| record.bytes(text.as_bytes()))
    }
}

/// Reads fields one after the other.
pub(super) struct Reader<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Reader<'a> {
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], RestoreError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(RestoreError::Truncated { at: self.at })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// Whether all of it was read.
    pub fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub fn byte(&mut self) -> Result<u8, RestoreError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub fn number(&mut self) -> Result<u64, RestoreError> {
        let mut word = [0; 8];
        word.copy_from_slice(self.take(8)?);
        Ok(u64::from_le_bytes(word))
    }

    pub fn text(&mut self) -> Result<String, RestoreError> {
        let at = self.at;
        String::from_utf8(self.block()?.to_vec()).map_err(|_| RestoreError::Malformed { at })
    }

    /// As many texts as a number says: at least a length each, so that a wrong number finds its end.
    pub fn texts(&mut self) -> Result<Vec<String>, RestoreError> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// A length and that many bytes.
    pub fn block(&mut self) -> Result<&'a [u8], RestoreError> {
        let mut word = [0; 4];
        word.copy_from_slice(self.take(4)?);
        self.take(u32::from_le_bytes(word) as usize)
    }
}
