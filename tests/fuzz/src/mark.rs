//! The mark on a user.

use jiff::Timestamp;
use shared::{mark::Mark, property::Property, utf16, version::Version};

use crate::texts;

/// The longest text of an attribute.
const LONGEST: usize = 1_024;

/// Whatever stands in the attribute, a mark can be added to it that is read as it was written, fits, and keeps what
/// somebody else wrote.
pub(crate) fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut mark = Mark::read(&text);
    let (Some(property), Ok(at)) = (Property::named("mail"), Timestamp::from_millisecond(1_767_225_600_000))
    else {
        return;
    };
    let version = Version::at(at);
    let known = mark.is_newer(&property, &version);
    mark.note(&property, version);
    assert!(mark.covers(&property, &version) || known, "noted and not covered");
    let Some(written) = mark.write(LONGEST) else { return };
    assert!(utf16::length(&written) <= LONGEST, "too long for the attribute");
    assert!(
        written.starts_with(mark.foreign()) && text.starts_with(mark.foreign()),
        "somebody else's text is changed"
    );
    // Who writes half a mark in front of ours can make one of both; whoever writes there can write anything.
    if !mark.foreign().contains("cs1|") {
        let read = Mark::read(&written);
        assert_eq!(read.foreign(), mark.foreign());
        assert_eq!(read.write(LONGEST).as_deref(), Some(&*written), "not read as it was written");
    }
}

/// Marks of ours, of others, and both.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "",
        "cs1|mjv2k0g0.1z:abcdefgh|mjv2k0g0:ijkl",
        "cs1|mjv2k0g0.1z:O00aabcd",
        "somebody else's cs1|mjv2k0g0:abcd",
        "cs1|cs1|zzzzzzzz:abcd",
        "cs1|-1.zzvzvzzzzz:abcd|0.1z:efgh",
        "cs1|mj02k:v2fyO00aaccd",
        "z's333cs1|mjlacs1sb.1:zv00aacs1Sb1|mjlacs1sb.13fyl3333:v3fyO00azcs1sbcd",
        "cs1|mjv2k0g1:acs1|mjv2k0g0:abcd",
        "cs1|-1:abcd|0.zzzzzzzzzzzzz:abcd",
    ])
}
