//! The second look. The two directories are read one after the other while changes go on, so a user who was written in
//! between looks different and is not; only what a second look finds as well is told.

use std::collections::BTreeMap;

use shared::{
    comparison::{Findings, NamedContact, ReadUser, Side, UserPair},
    ids::UserId,
};

use super::{
    comparison::{ComparisonError, DirectoryComparison, ReadProgress},
    directory::Regarded,
};

/// Most differences that are looked at once more. Of more than that nobody needs each one to see that something is wrong.
const MOST_LOOKS: usize = 2_000;

/// What was found when looking again.
#[derive(Default)]
struct Seen {
    /// Users of one contact, and what they do not agree in.
    pairs: BTreeMap<[UserId; 2], Vec<u8>>,
    alone: [Vec<UserId>; 2],
}

/// A user as it is now, and what it calls its contact; `None` if it is gone, or names no contact any more.
type Looked = Option<(NamedContact, ReadUser)>;

/// Looks at what differs, or is alone, once more. Tells whether it did: more than [`MOST_LOOKS`] stay as they were found.
pub(super) async fn look_again(
    run: &mut DirectoryComparison,
    found: &mut Findings,
    told: &mut impl FnMut(ReadProgress),
) -> Result<bool, ComparisonError> {
    let of = found.differ.len() + found.alone.iter().map(Vec::len).sum::<usize>();
    if of > MOST_LOOKS {
        return Ok(false);
    }
    let pairs = found.differ.iter().map(|pair| pair.users.map(Some));
    let alone = Side::BOTH.into_iter().flat_map(|side| {
        found.alone[side.index()].iter().map(move |user| match side {
            Side::First => [Some(*user), None],
            Side::Second => [None, Some(*user)],
        })
    });
    let mut seen = Seen::default();
    for (done, users) in pairs.chain(alone).enumerate() {
        let looked = look_at_both(run, users).await?;
        seen.sort_in(run, looked);
        told(ReadProgress::LookedAgain { done: done + 1, of });
    }
    let (agree, differ): (Vec<_>, Vec<_>) =
        seen.pairs.into_iter().partition(|(_, differing)| differing.is_empty());
    found.agree += agree.len() as u64;
    found.differ = differ.into_iter().map(|(users, differing)| UserPair { users, differing }).collect();
    found.alone = seen.alone.map(|mut alone| {
        alone.sort_unstable();
        alone.dedup();
        alone
    });
    Ok(true)
}

/// Two users, of whom the one that is not known yet is asked for.
async fn look_at_both(
    run: &mut DirectoryComparison,
    users: [Option<UserId>; 2],
) -> Result<[Looked; 2], ComparisonError> {
    let mut looked = [None, None];
    for side in Side::BOTH {
        if let Some(user) = users[side.index()] {
            looked[side.index()] = look(run, side, user).await?;
        }
    }
    for side in Side::BOTH {
        let named = looked[side.other().index()].as_ref().map(|(named, _)| named.clone());
        if let (None, Some(named)) = (users[side.index()], named) {
            let user = run.directories[side.index()].find(&named).await;
            if let Some(user) = user.map_err(|cause| run.failed(side, cause))? {
                looked[side.index()] = look(run, side, user).await?;
            }
        }
    }
    Ok(looked)
}

async fn look(run: &mut DirectoryComparison, side: Side, user: UserId) -> Result<Looked, ComparisonError> {
    let current = run.directories[side.index()].user(user).await;
    let Some(current) = current.map_err(|cause| run.failed(side, cause))? else { return Ok(None) };
    Ok(match run.directories[side.index()].regard(&run.state.key, user, &current) {
        Regarded::Linked(named, user) => Some((named, user)),
        Regarded::Unlinked | Regarded::KeptOut => None,
    })
}

impl Seen {
    /// Puts two users where they belong now.
    fn sort_in(&mut self, run: &DirectoryComparison, looked: [Looked; 2]) {
        match looked.map(|looked| looked.map(|(_, user)| user)) {
            [Some(one), Some(other)] if one.contact == other.contact => {
                let differing = run.scope.differing(&one.facets, &other.facets);
                self.pairs.insert([one.user, other.user], differing);
            }
            users => {
                for (list, user) in self.alone.iter_mut().zip(users) {
                    list.extend(user.map(|user| user.user));
                }
            }
        }
    }
}
