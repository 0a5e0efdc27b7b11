//! What holds for any mixture of damages.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::json;

use super::{
    super::{
        KeyProblem, Plan, PlanOptions, Refusal, SendKey, compare,
        desired::Hook,
        plan::{RowSet, Verb},
        removal,
    },
    broken::DAMAGES,
    world::{OTHER, World, desired, images, options},
};

fn damaged(which: &[prop::sample::Index]) -> World {
    let mut world = World::registered();
    for index in which {
        (index.get(DAMAGES).does)(&mut world);
    }
    world
}

fn repairable(world: &World) -> usize {
    compare(&desired(), &world.found()).iter().filter(|one| one.repair.is_some()).count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_run_repairs_any_mixture_and_a_second_one_has_nothing_to_do(
        which in proptest::collection::vec(any::<prop::sample::Index>(), 0..7),
    ) {
        let mut world = damaged(&which);
        let before = compare(&desired(), &world.found());
        world.register();
        prop_assert_eq!(repairable(&world), 0);
        let left = compare(&desired(), &world.found());
        // Nothing is said that was not said before; what belongs to others is as it was.
        let kinds: BTreeSet<_> = before.iter().map(|one| one.kind).collect();
        prop_assert!(left.iter().all(|one| kinds.contains(&one.kind)), "{:#?} {:#?}", before, left);
        prop_assert_eq!(world.register(), 0);
    }

    #[test]
    fn a_run_that_is_cut_off_anywhere_is_completed_by_the_next(
        which in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
        cuts in proptest::collection::vec(0..8_usize, 0..4),
        anew in any::<bool>(),
    ) {
        let mut world = if anew { World::empty() } else { damaged(&which) };
        for cut in cuts {
            let plan = Plan::of(&desired(), &world.found(), &options()).expect("a plan");
            world.apply(&plan, cut);
        }
        world.register();
        prop_assert_eq!(repairable(&world), 0);
        prop_assert_eq!(world.register(), 0);
    }

    #[test]
    fn a_new_step_is_enabled_only_after_its_images_exist(
        which in proptest::collection::vec(any::<prop::sample::Index>(), 0..5),
    ) {
        let mut world = damaged(&which);
        world.steps.clear();
        let plan = Plan::of(&desired(), &world.found(), &options()).expect("a plan");
        for cut in 0..plan.deeds.len() {
            let mut world = world.clone();
            world.apply(&plan, cut);
            for step in &mut world.steps {
                let enabled = step["statecode"] == json!(0);
                let hook = Hook::named(step["sdkmessageid"]["name"].as_str().expect("named")).expect("known");
                let complete = images(step).len() == hook.images().len();
                // Between the two requests that make a step it may be enabled.
                let just_made = plan.deeds[cut - 1].verb == Verb::Create && plan.deeds[cut - 1].set == RowSet::Step;
                prop_assert!(!enabled || complete || just_made, "after {} deeds", cut);
            }
        }
    }

    #[test]
    fn unregister_leaves_nothing_of_ours_and_everything_of_others(
        which in proptest::collection::vec(any::<prop::sample::Index>(), 0..7),
        cut in 0..12_usize,
    ) {
        let mut world = damaged(&which);
        let foreign = |world: &World| {
            let found = world.found();
            let steps = found.steps.iter().filter(|step| {
                step.ismanaged == Some(true)
                    || step.iscustomizable.is_some_and(|one| !one.value)
                    || Hook::named(step.message()).is_none()
                    || !matches!(step.table(), None | Some("contact"))
            });
            let steps = steps.map(|step| step.id);
            let endpoints = found.endpoints.iter().filter(|one| !one.is_named("contactsync")).map(|one| one.id);
            endpoints.chain(steps).collect::<Vec<_>>()
        };
        let before = foreign(&world);
        let first = removal(&desired(), &world.found()).expect("nothing is ambiguous");
        world.apply(&first.plan, cut);
        let rest = removal(&desired(), &world.found()).expect("nothing is ambiguous");
        world.apply(&rest.plan, usize::MAX);
        prop_assert_eq!(foreign(&world), before);
        let left = removal(&desired(), &world.found()).expect("nothing is ambiguous");
        prop_assert!(left.plan.is_empty());
        let named = world.found().endpoints.iter().filter(|one| one.is_named("contactsync")).count();
        prop_assert_eq!(named, usize::from(!left.left.is_empty()));
    }
}

#[test]
fn a_key_goes_along_only_where_it_is_needed_and_is_shown_to_nobody() {
    let sends = |world: &World, options: &PlanOptions| {
        let plan = Plan::of(&desired(), &world.found(), options).expect("a plan");
        for deed in &plan.deeds {
            let shown = format!("{deed} {} {deed:?}", deed.json());
            assert!(!shown.contains("MDEyMzQ1"), "{shown}");
        }
        plan.deeds.iter().filter(|deed| deed.key.is_some()).count()
    };
    let mut world = World::registered();
    world.step("Update")["mode"] = json!(0);
    world.endpoints[0]["userclaim"] = json!(2);
    assert_eq!(sends(&world, &options()), 0);
    assert_eq!(sends(&world, &PlanOptions { rotate_key: true, ..options() }), 1);
    world.endpoints[0]["issaskeyset"] = json!(false);
    assert_eq!(sends(&world, &options()), 1);
    assert_eq!(sends(&World::empty(), &options()), 1);
    let without = PlanOptions { key: None, ..options() };
    assert_eq!(Plan::of(&desired(), &world.found(), &without), Err(vec![Refusal::NoKey]));
}

#[test]
fn nothing_is_written_where_it_could_only_become_worse() {
    let refused =
        |world: &World, options: &PlanOptions| Plan::of(&desired(), &world.found(), options).is_err();
    let mut copy = World::registered();
    copy.endpoints[0]["description"] = json!(format!("Registered by contactsync for organization {OTHER}."));
    assert!(refused(&copy, &PlanOptions { allow_shared_queue: false, ..options() }));
    assert!(!refused(&copy, &options()));
    let mut twice = World::registered();
    twice.copy_endpoint("contactsync");
    assert!(refused(&twice, &options()));
    let mut elsewhere = World::empty();
    elsewhere.organization.organization_id = OTHER;
    assert!(refused(&elsewhere, &options()));
}

#[test]
fn an_endpoint_that_somebody_made_by_hand_for_our_queue_is_taken_over() {
    let mut world = World::registered();
    world.endpoints[0]["name"] = json!("portal");
    world.endpoints[0]["description"] = json!("Ask Ada.");
    assert_eq!(world.register(), 1);
    assert_eq!(world.endpoints.len(), 1);
    assert_eq!(
        world.endpoints[0]["description"],
        "Ask Ada. Registered by contactsync for organization 00000000-0000-0000-0000-00000000000a."
    );
    // Whoever made it may remove it.
    assert!(removal(&desired(), &world.found()).expect("nothing is ambiguous").plan.is_empty());
}

#[test]
fn a_key_is_one_that_dataverse_takes() {
    const KEY: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    let host = &desired().destination.host;
    let queue = &desired().destination.entity;
    let string = |host: &str, path: &str| {
        format!("Endpoint=sb://{host}/;SharedAccessKeyName=dataverse;SharedAccessKey={KEY}{path}")
    };
    let elsewhere =
        |theirs: &str, ours: &str| Err(KeyProblem::Elsewhere { theirs: theirs.into(), ours: ours.into() });
    let authority = &desired().authority;
    for (text, name, expected) in [
        (KEY.to_owned(), Some("send"), Ok("send")),
        (format!("{KEY}\n"), Some("send"), Ok("send")),
        (KEY.to_owned(), None, Err(KeyProblem::NoName)),
        (KEY[..40].to_owned(), Some("send"), Err(KeyProblem::NoKey)),
        (string(host, ""), None, Ok("dataverse")),
        (string(host, &format!(";EntityPath={queue}")), None, Ok("dataverse")),
        (string(host, ";EntityPath=other"), None, elsewhere("other", queue)),
        (string("other.example", ""), None, elsewhere("other.example:5671", authority)),
        (
            format!(
                "Endpoint=sb://{host}/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y&se=1&skn=z"
            ),
            None,
            Err(KeyProblem::Signature),
        ),
    ] {
        let parsed = SendKey::parse(&text, name, &desired()).map(|key| key.name.into_string());
        assert_eq!(parsed, expected.map(ToOwned::to_owned));
    }
}
