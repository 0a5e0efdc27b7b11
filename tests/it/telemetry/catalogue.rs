//! The page about the metrics says what the catalogue says.

use tests::binary::workspace;
use worker::telemetry::catalogue;

#[test]
fn the_page_about_the_metrics_is_that_of_the_catalogue() {
    let path = workspace().join("deploy/metrics.md");
    let (page, kept) = (catalogue::page(), std::fs::read_to_string(&path).unwrap_or_default());
    if page != kept {
        // Left as it should be, so that the only thing to do is to look at it and commit it.
        std::fs::write(&path, page).expect("the page can be written");
        panic!("deploy/metrics.md was not up to date; it has been written anew, commit it");
    }
}
