//! The table of presets in the guide says what the presets do.

use shared::{
    mapping::{Mapping, OnNull},
    plan::Planner,
    reconcile::ReadPolicy,
};
use worker::settings::check::permissions;

use super::read;

#[test]
fn the_guide_tells_each_row_of_each_preset_and_no_other() {
    let mut expected = Vec::new();
    for (name, mapping) in Mapping::presets() {
        for row in mapping.rows() {
            let emptied = if row.on_null == OnNull::Clear { "emptied" } else { "stays" };
            let alone = Planner::new(Mapping::new(vec![row.clone()]).expect("a row of a preset"));
            let permission = permissions::needs(&alone, &ReadPolicy::default())[0].usual();
            let (column, property) = (&row.source, &row.property);
            expected.push(format!("| `{name}` | `{column}` | `{property}` | {emptied} | `{permission}` |"));
        }
    }
    let guide = read("deploy/README.md");
    let table = guide.lines().skip_while(|line| !line.starts_with("| preset |")).skip(2);
    let told: Vec<_> = table.take_while(|line| line.starts_with('|')).collect();
    assert_eq!(told, expected);
}

#[test]
fn every_preset_can_be_chosen_and_is_explained_in_the_settings() {
    let defaults = read("worker/config.default.toml");
    for (name, _) in Mapping::presets() {
        assert!(defaults.contains(&format!("\n# {name}: ")), "{name}");
    }
}
