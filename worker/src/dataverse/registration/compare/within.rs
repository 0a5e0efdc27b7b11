//! What may be done to a row that belongs to a solution.

use super::super::{
    deviation::{Deviation, DeviationKind, Repair},
    found::Grasp,
};

/// Takes repairs away that a row does not allow, and says so once.
pub(super) fn within(grasp: Grasp, title: &str, mut deviations: Vec<Deviation>) -> Vec<Deviation> {
    let allowed = |repair: &Repair| match grasp {
        Grasp::Free => true,
        Grasp::Managed => matches!(repair, Repair::GiveKey(_) | Repair::EnableStep(_)),
        Grasp::Fixed => false,
    };
    let mut barred = 0;
    for deviation in &mut deviations {
        if deviation.repair.as_ref().is_some_and(|repair| !allowed(repair)) {
            deviation.repair = None;
            "change it in the solution that it comes from, and import that again"
                .clone_into(&mut deviation.remedy);
            barred += 1;
        }
    }
    if barred > 0 {
        let why =
            if grasp == Grasp::Managed { "belongs to a managed solution" } else { "is not customizable" };
        let what = format!("{why}, so that register leaves it as it is; {barred} deviations stay");
        let remedy = "change it in its solution; or remove that solution here and register anew";
        deviations.push(Deviation::new(DeviationKind::Managed, title, what).by_hand(remedy));
    }
    deviations
}
