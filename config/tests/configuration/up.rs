//! What `tickline up` starts.

use tickline_config::model::{PhaseName, Runtime};

use super::load;

#[test]
fn phases_come_in_the_usual_order_and_nothing_is_on_that_writes_by_itself() {
    let config = load("", &[], &[]).unwrap().config;
    assert_eq!(config.phases.iter().map(|(name, _)| *name).collect::<Vec<_>>(), PhaseName::ALL);
    assert_eq!((config.up.runtime, config.up.grafana), (Runtime::External, None));
    assert_eq!((config.canary.every, config.rollups.policy), (None, None));
}

#[test]
fn a_phase_comes_after_those_it_waits_for() {
    let text = "phases.containers.after = ['engine']\nphases.database.after = []";
    let order: Vec<PhaseName> =
        load(text, &[], &[]).unwrap().config.phases.into_iter().map(|(name, _)| name).collect();
    use PhaseName::{Containers, Dashboards, Database, Engine, Publishers, Validation};
    assert_eq!(order, [Database, Publishers, Engine, Containers, Dashboards, Validation]);
}

#[test]
fn phases_that_wait_for_each_other_and_services_without_a_program_are_refused() {
    let why = |text: &str| load(text, &[], &[]).unwrap_err();
    let circle = why("phases.containers.after = ['engine']");
    assert!(
        circle.contains("after must not lead in a circle, found one through containers, database, engine"),
        "{circle}"
    );
    let unknown = why("[phases.engines]\n");
    assert!(unknown.contains("did you mean \"engine\""), "{unknown}");
    let empty = why("[services.mine]\ncommand = []");
    assert!(empty.contains("services.mine.command: must have a program, found nothing"), "{empty}");
    let phase = why("[services.mine]\ncommand = ['a']\nphase = 'later'");
    assert!(phase.contains("must be \"publishers\" or \"engine\", found \"later\""), "{phase}");
}
