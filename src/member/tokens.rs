//! Words that stand for a user who gave the right password: random, known to every member from the moment its entry is
//! applied there, forgotten when nobody uses them. They are no part of the state: a member that comes back knows those only
//! whose entries it applies again, one that is brought up by a snapshot none; whoever sends one that is not known is told
//! so, and asks for another.
//!
//! A token is `WORD.INDEX`: a member that has not applied the entry of that index waits for it before it answers.
//! Source: etcd, server/auth/simple_token.go.

use base::{Index, reached};
use rt::Mono;
use std::{collections::BTreeMap, time::Duration};

/// Letters in a word.
const LENGTH: usize = 16;
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// A new word.
pub fn word() -> String {
    let letter = |_| LETTERS[rt::random_range(0..LETTERS.len() as u64) as usize] as char;
    (0..LENGTH).map(letter).collect()
}

/// The token of a word whose entry has this index.
pub fn token(word: &str, index: Index) -> String {
    format!("{word}.{}", index.0)
}

/// The index of a token's entry; nothing if it is no token.
pub fn index(token: &str) -> Option<Index> {
    let (word, index) = token.split_once('.')?;
    let is_word = word.len() == LENGTH && word.bytes().all(|letter| LETTERS.contains(&letter));
    index.parse().ok().filter(|_| is_word).map(Index)
}

/// Those that are known here.
#[derive(Default)]
pub struct Tokens {
    users: BTreeMap<String, Token>,
}

struct Token {
    user: String,
    until: Mono,
}

impl Tokens {
    /// Makes a token known, and forgets those whose time is over.
    pub fn assign(&mut self, token: String, user: &str, until: Mono, now: Mono) {
        let before = self.users.len();
        self.users.retain(|_, token| token.until > now);
        reached!("member: a token was forgotten that nobody used", self.users.len() < before);
        self.users.insert(token, Token { user: user.into(), until });
    }

    /// Who it stands for. From now on it lives for so long again.
    pub fn user(&mut self, token: &str, now: Mono, ttl: Duration) -> Option<String> {
        let token = self.users.get_mut(token).filter(|token| token.until > now)?;
        token.until = now + ttl;
        Some(token.user.clone())
    }

    /// Those of a user stand for nobody any more.
    pub fn forget(&mut self, user: &str) {
        self.users.retain(|_, token| token.user != user);
    }

    /// None stands for anybody any more.
    pub fn clear(&mut self) {
        self.users.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_the_entry_that_made_it_known() {
        assert_eq!(index(&token("abcdefghijklmnop", Index(7))), Some(Index(7)));
        for wrong in
            ["", "abcdefghijklmnop", "abcdefghijklmnop.", "short.7", "abcdefghijklmno1.7", ".7", "x.y.z"]
        {
            assert_eq!(index(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_token_lives_as_long_as_it_is_used() {
        rt::testing::run(1, || async {
            let (start, ttl) = (rt::now(), Duration::from_secs(10));
            let mut tokens = Tokens::default();
            tokens.assign("one".into(), "alice", start + ttl, start);
            tokens.assign("two".into(), "alice", start + ttl, start);
            tokens.assign("three".into(), "bob", start + ttl, start);
            assert_eq!(tokens.user("one", start + ttl / 2, ttl).as_deref(), Some("alice"));
            assert_eq!(tokens.user("one", start + ttl, ttl).as_deref(), Some("alice"));
            assert_eq!(tokens.user("two", start + ttl, ttl), None);
            tokens.assign("four".into(), "bob", start + ttl * 3, start + ttl);
            assert_eq!(tokens.users.len(), 2, "those that ended are forgotten");
            tokens.forget("alice");
            assert_eq!(tokens.user("one", start + ttl, ttl), None);
            assert_eq!(tokens.user("four", start + ttl, ttl).as_deref(), Some("bob"));
        });
    }
}
