//! An answer, read no further than makes sense, and decompressed no further either.

use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use reqwest::{
    Response,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER},
};
use servicebus::clock;
use shared::{retry_after, shown};

use super::{error::Error, refusal::Head};
use crate::http_client;

/// By this Microsoft's support finds a request.
const REQUEST_ID: &str = "x-ms-service-request-id";

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    /// Where the row is that was made.
    pub(super) entity: Option<Box<str>>,
}

impl Answer {
    /// Reads an answer whose body is no longer than `longest`, before and after it is decompressed.
    pub(super) async fn read(mut response: Response, longest: usize) -> Result<Self, Error> {
        let headers = response.headers();
        let head = Head {
            status: response.status().as_u16(),
            request_id: text(headers, REQUEST_ID).map(|id| shown::brief(id, 80).into_owned().into()),
            retry_after: text(headers, RETRY_AFTER.as_str())
                .and_then(|value| retry_after::parse(value, clock::now())),
            content_type: text(headers, CONTENT_TYPE.as_str())
                .and_then(|value| value.split(';').next())
                .map(|value| value.trim().into()),
        };
        let entity = text(headers, "odata-entityid").or_else(|| text(headers, "location")).map(Into::into);
        let packed =
            text(headers, CONTENT_ENCODING.as_str()).map(|coding| coding.trim().to_ascii_lowercase());
        let success = response.status().is_success();
        tracing::debug!(
            http.status = head.status,
            dataverse.request_id = head.request_id.as_deref().unwrap_or_default(),
            "dataverse answered"
        );
        let read = http_client::body(&mut response, longest).await;
        let body = match (read, success) {
            (Ok(body), _) => body,
            // A refusal is one by its status, however much is said beside it.
            (Err(_), false) => None,
            (Err(cause), true) => return Err(Error::Unreachable { sent: true, cause: cause.without_url() }),
        };
        let body = body.and_then(|body| match packed.as_deref() {
            None | Some("identity" | "") => Some(body),
            Some("gzip" | "x-gzip") => unpack(&body, longest),
            Some(_) => None,
        });
        match (body, success) {
            (Some(body), _) => Ok(Self { head, body, entity }),
            (None, false) => Ok(Self { head, body: Vec::new(), entity }),
            (None, true) => Err(Error::Senseless("it is too long, or compressed in an unknown way".into())),
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a compressed body holds; `None` if that is longer than `longest`, or broken.
pub(super) fn unpack(packed: &[u8], longest: usize) -> Option<Vec<u8>> {
    let bound = u64::try_from(longest).unwrap_or(u64::MAX).saturating_add(1);
    let mut body = Vec::new();
    MultiGzDecoder::new(packed).take(bound).read_to_end(&mut body).ok()?;
    (body.len() <= longest).then_some(body)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).expect("packed");
        encoder.finish().expect("packed")
    }

    #[test]
    fn what_swells_is_given_up_at_the_bound() {
        let bomb = packed(&vec![0; 50_000_000]);
        assert!(bomb.len() < 300_000);
        assert_eq!(unpack(&bomb, 1_000_000), None);
        assert_eq!(unpack(b"no gzip", 100), None);
        assert_eq!(unpack(&packed(b"whole")[..10], 100), None);
    }

    proptest! {
        #[test]
        fn unpacking_gives_back_what_was_packed_up_to_the_bound(
            body in prop::collection::vec(any::<u8>(), 0..500), longest in 0_usize..500,
        ) {
            let whole = body.len() <= longest;
            prop_assert_eq!(unpack(&packed(&body), longest), whole.then_some(body));
        }
    }
}
