//! Whether a column may be the link, by its name alone.

/// Parts of names under which installations keep the object id of a user.
const PARTS: [&str; 13] = [
    "objectid",
    "object_id",
    "identity",
    "username",
    "userid",
    "user_id",
    "useridentifier",
    "externalid",
    "external_id",
    "b2c",
    "entra",
    "azuread",
    "portaluser",
];
/// The same, where only a whole part between underscores tells.
const WHOLE: [&str; 3] = ["oid", "sub", "aad"];
/// Parts of the names of columns that hold other GUIDs.
const OTHERS: [&str; 16] = [
    "stamp",
    "hash",
    "token",
    "password",
    "address",
    "session",
    "correlation",
    "process",
    "stage",
    "tenant",
    "organization",
    "provider",
    "appid",
    "applicationid",
    "clientid",
    "image",
];

/// Longest logical name that Dataverse has.
const LONGEST: usize = 128;

/// Whether a name can be a logical name, and not text that somebody wants to see repeated.
pub(super) fn can_be_told(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Whether a column that holds a GUID may be the link that `link` was meant to name.
pub(super) fn alike(name: &str, link: &str) -> bool {
    if !can_be_told(name) || is_something_else(name) {
        return false;
    }
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
        || name.split('_').any(|part| WHOLE.contains(&part))
        || distance(&name, link) * 4 <= name.len()
}

/// Whether the name says that its GUID is no user's.
pub(super) fn is_something_else(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    OTHERS.iter().any(|part| name.contains(part))
}

/// How many letters have to be put in, taken out or changed to make one name of the other (Levenshtein). Names that are
/// longer than a logical name can be have nothing to do with each other.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len().max(b.len()) > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(!left.eq_ignore_ascii_case(right));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_like_the_link_by_what_it_says_or_by_a_slip_of_the_pen() {
        let link = "adx_identity_username";
        for name in
            ["adx_identity_user_name", "new_b2cobjectid", "new_oid", "externaluseridentifier", "new_entraid"]
        {
            assert!(alike(name, link), "{name}");
        }
        assert!(alike("new_portalkey", "new_portalkeys"));
        for name in [
            "adx_identity_securitystamp",
            "address1_addressid",
            "new_b2ctenantid",
            "processid",
            "new_orderid",
            "new_avoid",
            "a name\nof a stranger with objectid",
        ] {
            assert!(!alike(name, link), "{name}");
        }
    }

    #[test]
    fn the_distance_counts_letters() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "", 3), ("abc", "abd", 1), ("a_b", "ab", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }
}
