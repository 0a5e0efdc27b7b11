//! A state is gone on with wherever a kill has cut it off, and only by the comparison that it is of.

use std::fs;

use proptest::prelude::*;
use shared::comparison::{ComparisonScope, findings};

use super::*;

fn header() -> StateHeader {
    StateHeader {
        contactsync: "1".into(),
        targets: ["b2c".into(), "external-id".into()],
        tenants: ["old".into(), "new".into()],
        settings: ["a".into(), "b".into()],
    }
}

fn now() -> Timestamp {
    Timestamp::from_millisecond(1_772_438_400_000).expect("in range")
}

/// Nothing is compared, so of a user nothing but contact and id is kept.
fn opened(path: &Path) -> Result<ComparisonState, Error> {
    ComparisonState::open(path, &header(), [0, 0], now())
}

fn page(contacts: std::ops::Range<u8>, next: Option<&str>) -> KeptPage {
    let facets = UserFacets::parse(&[], 0).expect("nothing");
    let user = |contact: u8| ReadUser {
        contact: [contact; 16],
        user: UserId(Uuid::from_u128(u128::from(contact) + 1)),
        facets: facets.clone(),
    };
    KeptPage {
        users: contacts.map(user).collect(),
        unlinked: 1,
        ..KeptPage::leading_to(next.map(Into::into))
    }
}

/// What the state tells, whatever way it came there.
fn told(state: &ComparisonState) -> (Vec<ReadTo>, String) {
    let scope = ComparisonScope::default();
    (state.read_to.to_vec(), format!("{:?}", findings(&scope, &state.directories)))
}

fn written(path: &Path) -> ComparisonState {
    let mut state = opened(path).expect("new");
    state.take_in(Side::First, page(0..9, Some("https://graph/a"))).expect("written");
    state.take_in(Side::First, KeptPage::anew()).expect("written");
    state.take_in(Side::First, page(0..3, Some("https://graph/a"))).expect("written");
    state.take_in(Side::First, page(3..5, None)).expect("written");
    state.take_in(Side::Second, page(1..4, Some("https://graph/b"))).expect("written");
    state
}

#[test]
fn what_was_read_is_there_again_and_the_file_goes_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    let before = told(&written(&path));
    let again = opened(&path).expect("ours");
    assert_eq!(told(&again), before);
    assert_eq!(before.0, [ReadTo::End, ReadTo::Link("https://graph/b".into())]);
    assert!(before.1.contains("agree: 3"), "{}", before.1);
    assert!(matches!(opened(&path), Err(Error::Busy)), "one at a time");
    again.remove().expect("removed");
    assert!(!path.exists());
}

#[test]
fn a_state_of_another_comparison_is_refused_in_words_and_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state");
    drop(written(&path));
    let before = fs::read(&path).expect("read");
    let of = |change: &dyn Fn(&mut StateHeader)| {
        let mut header = header();
        change(&mut header);
        let refused = ComparisonState::open(&path, &header, [0, 0], now());
        refused.err().expect("refused").to_string()
    };
    assert!(of(&|header| header.tenants[1] = "x".into()).contains("another tenant in target external-id"));
    assert!(of(&|header| header.settings[0] = "x".into()).contains("other settings of target b2c"));
    assert!(of(&|header| header.targets.swap(0, 1)).contains("other targets (b2c and external-id"));
    assert!(of(&|header| header.contactsync = "2".into()).contains("version 1 of contactsync"));
    let late = ComparisonState::open(&path, &header(), [0, 0], now() + SignedDuration::from_hours(25));
    assert!(matches!(late, Err(Error::Old(_))));
    let other = ComparisonState::open(&path, &header(), [1, 0], now());
    assert!(matches!(other, Err(Error::Damaged(2))), "other properties");
    assert_eq!(fs::read(&path).expect("read"), before);

    for text in ["{}\n", "precious", "{\"comparison\":2,\"begun\":1}\n", "\n"] {
        fs::write(&path, text).expect("written");
        assert!(matches!(opened(&path), Err(Error::Other)), "{text}");
        assert_eq!(fs::read_to_string(&path).expect("read"), text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn a_state_that_was_cut_off_anywhere_is_gone_on_with(cut in 0_usize..1_200) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state");
        let whole = written(&path);
        let key = whole.key.clone();
        drop(whole);
        let bytes = fs::read(&path).expect("read");
        let cut = cut.min(bytes.len());
        File::options().write(true).open(&path).expect("there").set_len(cut as u64).expect("cut");
        let lines = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;

        let mut state = opened(&path).expect("ours");
        prop_assert_eq!(state.key == key, lines > 0, "the key is in the first line");
        prop_assert_eq!(state.read_to[1] != ReadTo::Beginning, lines == 6);
        state.take_in(Side::Second, page(0..1, None)).expect("written");
        let before = told(&state);
        drop(state);
        prop_assert_eq!(told(&opened(&path).expect("ours")), before);
    }
}
