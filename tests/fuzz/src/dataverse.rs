//! Answers of Dataverse: a line with status and challenge, and the body.

use serde_json::json;
use shared::{
    decode::{self, Subject},
    shown::is_hidden,
};
use worker::fuzz::dataverse;

use crate::texts;

const LONGEST: usize = 1 << 20;

/// What an answer of anybody must not do: put lines, commands or all of its words into our texts, swell beyond its bound, or
/// become a message that is none about a contact.
pub(crate) fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (head, body) = (String::from_utf8_lossy(&bytes[..end]), bytes.get(end + 1..).unwrap_or_default());
    let (status, challenge) = head.split_once('|').unwrap_or((&head, ""));
    let status = status.parse().unwrap_or(400);
    if let Some(told) = dataverse::refusal(status, body) {
        assert!(!told.chars().any(is_hidden), "the answer puts commands into our texts: {told:?}");
        assert!(told.chars().count() < 5_000, "the answer is told whole");
    }
    assert!(dataverse::unpacked(body, LONGEST).is_none_or(|body| body.len() <= LONGEST));
    let tame = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    assert!(dataverse::tenant(challenge).is_none_or(|tenant| tenant.chars().all(tame)));
    if let Some(message) = dataverse::message(body) {
        let payload = decode::open(&message, Some("application/json")).expect("we write JSON");
        let message = payload.message().expect("we write messages");
        assert!(
            matches!(message.subject, Subject::Contacts { changes, unread } if changes.len() == 1 && unread.is_empty())
        );
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let row = json!({
        "@odata.etag": "W/\"1\"", "contactid": "5531d753-95af-4711-a94e-000d3a11e605", "versionnumber": 1,
        "modifiedon": "2026-11-28T20:14:03Z", "firstname": "Ada", "statecode": 0, "_ownerid_value": null,
        "statecode@OData.Community.Display.V1.FormattedValue": "Active", "birthdate": "1990-05-06",
    });
    let refused = json!({"error": {"code": "0x80040220", "message": "(Id=1, roleCount=1, privilegeCount=12), is missing \
        prvReadContact privilege (Id=2) on OTC=2 for entity 'contact'."}});
    let mut seeds = texts(&[
        &format!("200|\n{row}"),
        &format!("403|\n{refused}"),
        "400|\n{\"error\":{\"code\":\"0x80040265\",\"message\":\"no\\n\\u001b[2J\"}}",
        "401|Bearer authorization_uri=https://login.microsoftonline.com/0f0e/oauth2/authorize, resource_id=https://o/\n",
        "503|\n<html>",
    ]);
    // "{}", compressed.
    let packed = [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 171, 174, 5, 0, 67, 191, 166, 163, 2, 0, 0, 0];
    seeds.push([b"200|\n".as_slice(), &packed].concat());
    seeds
}
