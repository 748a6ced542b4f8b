//! One watch stream: newline-delimited JSON frames, decoded. The stream ends on the first error: what comes
//! after one cannot be trusted.

use crate::{Error, api::to_object};
use base::reached;
use objects::Object;
use serde_json::Value;
use std::time::Duration;

#[derive(Clone, Debug)]
pub enum WatchEvent {
    Added(Object),
    Modified(Object),
    Deleted(Object),
    /// Everything up to this resourceVersion has been sent.
    Bookmark(String),
}

pub struct WatchStream {
    body: rt::http::Body,
    buffer: Vec<u8>,
    ended: bool,
    patience: Duration,
}

impl WatchStream {
    /// `patience`: silence after which the stream is given up.
    pub(crate) fn new(body: rt::http::Body, patience: Duration) -> Self {
        WatchStream { body, buffer: vec![], ended: false, patience }
    }

    /// The next event; None at a regular end. After an error, always None.
    pub async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let event = parse(&line);
                self.ended = event.is_err();
                return Some(event);
            }
            let frame = match rt::timeout(self.patience, self.body.frame()).await {
                Ok(frame) => frame,
                Err(_) => {
                    reached!("client: a watch fell silent and was given up");
                    Some(Err(rt::http::Error::silent()))
                }
            };
            match frame {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => {
                    reached!("client: a watch broke off");
                    self.ended = true;
                    return Some(Err(Error::Unknown(error.to_string())));
                }
                None => self.ended = true,
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<WatchEvent, Error> {
    let mut frame: Value = serde_json::from_slice(line).map_err(|e| Error::Decode(e.to_string()))?;
    let object = frame["object"].take();
    match frame["type"].as_str() {
        Some("ADDED") => to_object(object).map(WatchEvent::Added),
        Some("MODIFIED") => to_object(object).map(WatchEvent::Modified),
        Some("DELETED") => to_object(object).map(WatchEvent::Deleted),
        Some("BOOKMARK") => {
            let version = object["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            Ok(WatchEvent::Bookmark(version.to_string()))
        }
        Some("ERROR") => {
            reached!("client: a watch was told why it ends");
            Err(Error::from_body(500, object.to_string().as_bytes()))
        }
        other => Err(Error::Decode(format!("unknown watch event type {other:?}"))),
    }
}
