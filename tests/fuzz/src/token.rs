//! Answers of token endpoints: a line with the status, and the body.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use worker::fuzz::token;

use crate::{shown_runs, texts, told};

/// A token travels in a header and nowhere else, and what is no token is not told.
pub(crate) fn check(bytes: &[u8]) {
    static RUNTIME: OnceLock<Option<Runtime>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| Builder::new_current_thread().build().ok());
    let Some(runtime) = runtime else { return };
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let head = String::from_utf8_lossy(&bytes[..end]);
    let status = head.parse::<u16>().ok().filter(|status| (200..600).contains(status)).unwrap_or(200);
    let body = bytes.get(end + 1..).unwrap_or_default();
    let text = String::from_utf8_lossy(body);

    let refusal = token::refusal(status, body);
    let words = refusal.to_string();
    assert!(words.len() < 600 && words.is_ascii(), "no words of ours: {words}");
    if let Some(error) = &refusal.error {
        assert!(error.len() <= 64 && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    }
    match runtime.block_on(token::granted(status, body)) {
        Ok(bearer) => {
            assert!((200..300).contains(&status), "a token out of a refusal");
            assert!(
                !format!("{bearer:?}").contains(bearer.text()) || bearer.text().len() < 8,
                "a token is shown"
            );
            assert!(bearer.authorization().to_str().is_ok());
        }
        Err(error) if (200..300).contains(&status) => {
            // A token in the wrong place is a token still.
            let words = told(&error);
            let shown = shown_runs(&text, &words, 24).next();
            assert!(shown.is_none(), "{shown:?} is shown by: {words}");
        }
        Err(_) => {}
    }
}

/// Tokens, refusals, and what is neither.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "200\n{\"token_type\":\"Bearer\",\"expires_in\":3599,\"ext_expires_in\":3599,\"access_token\":\"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl\"}",
        "200\n{\"token_type\":\"Bearer\",\"expires_in\":\"3599\",\"access_token\":{\"a\":\"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0\"}}",
        "401\n{\"error\":\"invalid_client\",\"error_codes\":[7000222],\"error_description\":\"AADSTS7000222: The provided client secret keys are expired.\"}",
        "200\n{\"token_type\":\"Bearer\",\"expires_in\":\"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl\"}",
        "400\n{\"error\":\"Private Data!\",\"error_codes\":[-1]}",
        "503\n<html>Service Unavailable",
    ])
}
