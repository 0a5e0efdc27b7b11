//! All users of a directory, page by page.

use shared::comparison::Side;

use super::{
    comparison::{ComparisonError, DirectoryComparison, ReadProgress},
    directory::Regarded,
    state::{KeptPage, ReadTo},
};
use crate::graph::UserPage;

/// How often a list is begun anew because Graph does not know its page any more.
const ANEW: u32 = 3;

/// Reads what is not read yet of a directory.
pub(super) async fn read(
    run: &mut DirectoryComparison,
    side: Side,
    told: &mut impl FnMut(ReadProgress),
) -> Result<(), ComparisonError> {
    let place = side.index();
    let mut begun_anew = 0;
    loop {
        let link = match &run.state.read_to[place] {
            ReadTo::End => return Ok(()),
            ReadTo::Link(link) => Some(link.clone()),
            ReadTo::Beginning => None,
        };
        let page = run.directories[place].page(link.as_deref()).await;
        let page = page.map_err(|cause| run.failed(side, cause))?;
        let kept = match page {
            Some(page) => keep(run, side, page),
            None if begun_anew < ANEW => {
                begun_anew += 1;
                let directory = run.directories[place].name();
                tracing::warn!(%directory, "graph gave up its list of users before the end; it is read from its beginning");
                KeptPage::anew()
            }
            None => return Err(ComparisonError::Endless(run.directories[place].name().clone())),
        };
        run.state.take_in(side, kept).map_err(ComparisonError::State)?;
        let contacts = run.state.directories.each_ref().map(shared::comparison::DirectoryUsers::contacts);
        told(ReadProgress::Read(contacts));
    }
}

/// What is kept of a page.
fn keep(run: &DirectoryComparison, side: Side, page: UserPage) -> KeptPage {
    let mut kept = KeptPage::leading_to(page.next.map(|next| next.as_str().into()));
    for (user, current) in &page.users {
        match run.directories[side.index()].regard(&run.state.key, *user, current) {
            Regarded::Linked(_, user) => kept.users.push(user),
            Regarded::Unlinked => kept.unlinked += 1,
            Regarded::KeptOut => kept.kept_out += 1,
        }
    }
    kept
}
