//! The grammar as JSON schema
