//! The whole engine under short made-up traffic. Random traffic is in `tests/`.

use crate::ladder::test::ladder;
use crate::test::{Source, TICK, condition, plan, query_rate};
use crate::*;
use core::time::Duration;
use wire::Field;

#[test]
fn a_query_rate_over_its_threshold_is_signalled_once_each_way() {
    let mut trace = Trace::new(with(query_rate("c", Scope::Zone(1), 1000.0)));
    trace.queries(1, 20, 50);
    assert_eq!(trace.edges(), []);
    trace.queries(1, 30, 150);
    trace.queries(1, 30, 80);
    trace.queries(1, 30, 10);
    assert_eq!(trace.edges(), [(24, "c", State::Met), (81, "c", State::Cleared)]);
    let [met, cleared] = &trace.signals[..] else { panic!("two signals") };
    assert_eq!((met.seq, met.kind, met.value, met.threshold), (1, "query-rate", 1000.0, 1000.0));
    assert_eq!((met.scope.clone(), met.window), (Named::Zone("a.".into()), Duration::from_secs(1)));
    assert_eq!((cleared.seq, cleared.value, cleared.threshold), (2, 660.0, 700.0));
}

#[test]
fn every_scope_sees_its_own() {
    let mut plan = plan(["a.", "b.", "c."], ["192.0.2.0/24"]);
    plan.groups.push(Group { name: "g".into(), slots: vec![1, 2] });
    for (name, scope, rising) in [
        ("n", Scope::Node, 160.0),
        ("p", Scope::Prefix(4), 40.0),
        ("z", Scope::Zone(2), 20.0),
        ("g", Scope::Group(0), 30.0),
    ] {
        plan.conditions.push(query_rate(name, scope, rising));
    }
    let mut trace = Trace::new(plan);
    for _ in 0..11 {
        for slot in 0..5 {
            trace.source.add(slot, Field::Queries, if slot == 0 { 10 } else { u64::from(slot) });
        }
        trace.tick();
    }
    assert_eq!(trace.values(), [160.0, 40.0, 20.0, 30.0]);
    assert_eq!(trace.signals.len(), 4);
    assert_eq!(trace.signals[3].scope, Named::Group("g".into()));
    assert_eq!(trace.signals[3].arguments.zones, [("b.".to_owned(), 20), ("a.".to_owned(), 10)]);
    assert_eq!(trace.signals[0].arguments.zones[0], ("other".to_owned(), 100));
    assert_eq!(trace.signals[2].arguments, Arguments::default());
}

#[test]
fn a_surge_is_its_increase_a_second_and_nothing_under_its_floor() {
    let kind = |at_least| Kind::QueryRateIncrease { at_least };
    let mut plan = plan(["a."], []);
    plan.conditions = vec![
        condition("high", kind(1500.0), Scope::Zone(1), 90.0),
        condition("low", kind(100.0), Scope::Zone(1), 90.0),
    ];
    let mut trace = Trace::new(plan);
    // 10 more queries a tick each second is 100 q/s a second.
    for tick in 0..180 {
        trace.queries(1, 1, tick);
        if tick < 50 {
            assert_eq!(trace.engine.view().rates(1).slope, None);
        }
    }
    assert_eq!(trace.edges(), [(50, "low", State::Met), (155, "high", State::Met)]);
    assert!((trace.values()[1] - 100.0).abs() < 1e-6, "{:?}", trace.values());
    assert_eq!(trace.signals[0].window, Duration::from_secs(5));
}

#[test]
fn extended_errors_are_counted_by_code_and_zone() {
    let kind = Kind::ExtendedError { codes: 1 << 22 | 1 << 6, judged: Judged::Rate };
    let mut plan = plan(["a.", "b."], []);
    plan.conditions = vec![condition("c", kind, Scope::Node, 50.0)];
    let mut trace = Trace::new(plan);
    trace.queries(1, 10, 10);
    for _ in 0..10 {
        trace.source.error(1, 22, 3);
        trace.source.error(2, 6, 2);
        trace.source.error(2, 20, 7);
        trace.tick();
    }
    assert_eq!(trace.values(), [50.0]);
    let [signal] = &trace.signals[..] else { panic!("{:?}", trace.signals) };
    assert_eq!(signal.arguments.codes, [(6, 20), (22, 30)].into());
    assert_eq!(signal.arguments.zones, [("a.".to_owned(), 30), ("b.".to_owned(), 20)]);
}

#[test]
fn a_response_with_two_codes_of_the_set_counts_once() {
    let kind = Kind::ExtendedError { codes: 1 << 22 | 1 << 6, judged: Judged::Rate };
    let mut trace = Trace::new(with(condition("c", kind, Scope::Zone(1), 1000.0)));
    for _ in 0..11 {
        trace.source.error(1, 22, 3);
        trace.source.code(1, 6, 3);
        trace.tick();
    }
    assert_eq!(trace.values(), [30.0]);
}

#[test]
fn a_share_of_responses_counts_from_a_minimum_on() {
    let kind = |at_least| Kind::ExtendedError { codes: 1 << 9, judged: Judged::Share { at_least } };
    let mut plan = plan(["a."], []);
    plan.conditions =
        vec![condition("many", kind(10), Scope::Zone(1), 0.2), condition("more", kind(11), Scope::Zone(1), 0.2)];
    let mut trace = Trace::new(plan);
    for _ in 0..11 {
        trace.source.error(1, 9, 1);
        trace.source.add(1, Field::NoError, 3);
        trace.tick();
    }
    assert_eq!(trace.values(), [0.25, 0.0]);
}

#[test]
fn a_stall_a_reload_and_a_jump_of_the_clock_make_no_edge() {
    let mut trace = Trace::new(with(query_rate("c", Scope::Zone(1), 1000.0)));
    trace.queries(1, 30, 90);
    trace.source.add(1, Field::Queries, 300 * 90);
    trace.pass(Duration::from_secs(30));
    assert_eq!(trace.engine.view().rates(1).queries, None);
    trace.queries(1, 30, 90);
    trace.source.regenerate();
    trace.source.add(1, Field::Queries, 1_000_000);
    trace.queries(1, 30, 90);
    trace.source.sample.at.0 -= 2_000_000_000;
    trace.queries(1, 30, 90);
    assert_eq!(trace.edges(), []);
    assert_eq!(trace.values(), [900.0]);
    assert_eq!(trace.engine.view().totals(1)[0], 120 * 90 + 300 * 90 + 1_000_000);
}

#[test]
fn blindness_freezes_conditions_and_routes() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    trace.source.sample.sight.blind = vec!["eth0: down".into()];
    trace.queries(1, 30, 0);
    assert!(trace.engine.view().blind());
    assert_eq!(trace.engine.view().rates(1), Rates::default());
    assert_eq!(trace.engine.view().standings()[0].value, None);
    trace.source.sample.sight.blind.clear();
    trace.queries(1, 10, 0);
    trace.queries(1, 30, 150);
    assert_eq!(trace.edges(), [(10, "c", State::Met), (20, "blind", State::Met), (60, "blind", State::Cleared)]);
    assert_eq!(trace.signals[1].arguments.reasons, ["eth0: down"]);
    assert_eq!(trace.intents.len(), 1);
}

#[test]
fn a_route_follows_its_condition() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    assert_eq!(trace.actions(), [Some(Action::Prepend(2))]);
    trace.queries(1, 20, 10);
    let intents: Vec<(Action, &str)> =
        trace.intents.iter().map(|intent| (intent.action, intent.because.as_str())).collect();
    assert_eq!(
        intents,
        [(Action::Prepend(2), "c met: 1500 >= 1000 q/s"), (Action::Plain, "c cleared: 660.0 < 700 q/s"),]
    );
}

#[test]
fn a_restart_during_an_overload_leaves_the_route_alone_until_the_load_is_gone() {
    let mut plan = routed(Duration::from_secs(3600));
    plan.conditions[0].hold_falling = Duration::from_secs(2);
    let mut trace = Trace::new(plan);
    trace.queries(1, 50, 80);
    assert_eq!((trace.actions(), trace.intents.len()), (vec![None], 0));
    trace.queries(1, 40, 10);
    assert_eq!((trace.edges(), trace.intents.len()), (vec![], 1));
    assert_eq!(trace.actions(), [Some(Action::Plain)]);
}

#[test]
fn a_step_ends_after_max_hold() {
    let mut trace = Trace::new(routed(Duration::from_secs(3)));
    trace.queries(1, 60, 150);
    let actions: Vec<Action> = trace.intents.iter().map(|intent| intent.action).collect();
    assert_eq!(actions, [Action::Prepend(2), Action::Plain]);
}

#[test]
fn a_new_plan_keeps_what_is_the_same() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    let mut plan = plan(["z.", "a."], []);
    plan.conditions = vec![query_rate("c", Scope::Zone(2), 1000.0), query_rate("new", Scope::Zone(1), 10.0)];
    plan.routes = routed(Duration::from_secs(3600)).routes;
    trace.engine.replan(plan);
    trace.source.regenerate();
    trace.queries(2, 20, 150);
    assert_eq!(trace.edges(), [(10, "c", State::Met)]);
    assert_eq!(trace.engine.view().standings()[0].state, State::Met);
    assert_eq!(trace.engine.view().totals(2)[0], 40 * 150);
    assert_eq!(trace.intents.len(), 2, "said again after the change of plan");
    assert_eq!(trace.intents[0], trace.intents[1]);
}

#[test]
fn a_met_condition_that_goes_is_signalled_as_cleared_and_its_route_stays() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    let mut plan = routed(Duration::from_secs(3600));
    plan.conditions[0].thresholds = Thresholds::new(2000.0, 1000.0).unwrap();
    trace.engine.replan(plan);
    trace.queries(1, 20, 150);
    assert_eq!(trace.edges(), [(10, "c", State::Met), (20, "c", State::Cleared)]);
    assert_eq!((trace.signals[1].value, trace.signals[1].threshold), (1500.0, 700.0));
    assert_eq!((trace.actions(), trace.intents.len()), (vec![Some(Action::Prepend(2))], 2), "said again");
}

#[test]
fn a_route_that_is_dropped_comes_down_within_its_budget_and_is_forgotten() {
    let mut plan = routed(Duration::from_secs(3600));
    plan.routes[0].policy =
        Policy::Demote(Ladder { hold: Duration::from_secs(2), step_every: Duration::ZERO, ..ladder(&[1, 2]) });
    let mut trace = Trace::new(plan);
    trace.queries(1, 20, 150);
    let bare = Plan { routes: vec![], ..routed(Duration::ZERO) };
    assert_eq!(trace.engine.left_by(&bare).len(), 1);
    trace.engine.replan(bare);
    trace.queries(1, 60, 150);
    let actions: Vec<Action> = trace.intents.iter().map(|intent| intent.action).collect();
    let [one, two, plain] = [Action::Prepend(1), Action::Prepend(2), Action::Plain];
    assert_eq!(actions, [one, two, two, one, plain], "said again, and down");
    assert_eq!(trace.intents[4].because, "not configured any more");
    assert_eq!(trace.engine.view().leaving().len(), 1, "its changes count");
    assert_eq!(trace.engine.records()[0].changes.len(), 4);
    for _ in 0..40 {
        trace.pass(Duration::from_secs(100));
    }
    assert_eq!((trace.engine.view().leaving().len(), trace.engine.records()), (0, vec![]));
}

#[test]
fn a_route_that_comes_back_knows_its_budget() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    trace.engine.replan(Plan { routes: vec![], ..routed(Duration::ZERO) });
    trace.queries(1, 20, 150);
    trace.engine.replan(routed(Duration::from_secs(3600)));
    assert_eq!(trace.engine.view().rungs()[0].budget_left, Some(2));
    assert!(trace.engine.view().leaving().is_empty());
}

#[test]
fn a_route_follows_several_conditions() {
    let mut plan = routed(Duration::from_secs(3600));
    plan.conditions.push(query_rate("d", Scope::Zone(2), 1000.0));
    plan.routes[0].when = When::All(vec!["c".into(), When::Not(Box::new("d".into()))]);
    let mut trace = Trace::new(plan);
    trace.queries(1, 20, 150);
    assert_eq!(trace.actions(), [Some(Action::Prepend(2))]);
    assert_eq!(trace.intents[0].because, "c and not d met: c met: 1500 >= 1000 q/s; d cleared: 0.0000 < 700 q/s");
    trace.source.add(1, Field::Queries, 150 * 20);
    trace.queries(2, 20, 150);
    assert_eq!(trace.actions(), [Some(Action::Plain)]);
}

#[test]
fn a_release_by_hand_is_said_and_remembered() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 150);
    assert_eq!(trace.engine.release("bird", "198.51.100.0/24", None), None);
    let intent = trace.engine.release("bird", "192.0.2.0/24", None).unwrap();
    assert_eq!((intent.action, intent.because.as_str()), (Action::Plain, "released by an operator"));
    let [record] = &trace.engine.records()[..] else { panic!("one route") };
    assert_eq!((record.action, record.changes.len()), (Action::Plain, 2));
    assert_eq!(record.plain_for, Some((Duration::from_secs(3600), true)));
}

#[test]
fn harm_is_looked_for_at_the_prefix_of_the_route() {
    let mut plan = plan(["a."], ["192.0.2.0/24"]);
    plan.conditions.push(query_rate("c", Scope::Node, 1000.0));
    let evidence = Some(Evidence { unanswered: Some(0.2), drops: true });
    let policy = Policy::Demote(Ladder { evidence, ..ladder(&[1]) });
    plan.routes.push(Route { prefix: "192.0.2.0/24".into(), router: "bird".into(), when: "c".into(), policy });
    let mut trace = Trace::new(plan);
    let ticks = |trace: &mut Trace, answers| {
        for _ in 0..20 {
            trace.source.add(1, Field::Queries, 200);
            trace.source.add(2, Field::Queries, 100);
            trace.source.add(2, Field::NoError, answers);
            trace.tick();
        }
    };
    ticks(&mut trace, 90);
    assert_eq!(trace.engine.view().rungs()[0].held_back, Some(HeldBack::NoEvidence));
    ticks(&mut trace, 80);
    assert_eq!(trace.intents[1].because, "c met: 2000 >= 1000 q/s; 20.0 % of queries unanswered");
}

#[test]
fn windows_go_on_over_a_plan_with_the_same_names() {
    let mut trace = Trace::new(routed(Duration::from_secs(3600)));
    trace.queries(1, 20, 50);
    let mut plan = routed(Duration::from_secs(3600));
    plan.conditions.push(query_rate("n", Scope::Node, 400.0));
    trace.engine.replan(plan);
    trace.queries(1, 1, 50);
    assert_eq!(trace.values(), [500.0, 500.0]);
}

#[test]
fn zones_too_many_to_watch_have_a_rate_and_no_slope() {
    let mut plan = plan([], []);
    plan.names = std::sync::Arc::new(Names::new((0..20_000).map(|zone| format!("{zone}.")), [""; 0]));
    plan.conditions = vec![query_rate("c", Scope::Zone(7), 1000.0)];
    let mut trace = Trace::new(plan);
    for _ in 0..60 {
        trace.source.add(7, Field::Queries, 5);
        trace.queries(8, 1, 5);
    }
    let view = trace.engine.view();
    assert_eq!(
        (view.rates(7).queries, view.rates(8).queries, view.rates(9).queries),
        (Some(50.0), Some(50.0), Some(0.0))
    );
    assert_eq!((view.rates(7).slope.is_some(), view.rates(8).slope), (true, None));
    assert_eq!(view.node_rates().queries, Some(100.0));
}

fn with(condition: Condition) -> Plan {
    let mut plan = plan(["a.", "b."], []);
    plan.conditions.push(condition);
    plan
}

fn routed(max_hold: Duration) -> Plan {
    let mut plan = with(query_rate("c", Scope::Zone(1), 1000.0));
    plan.routes.push(Route {
        prefix: "192.0.2.0/24".into(),
        router: "bird".into(),
        when: "c".into(),
        policy: Policy::Demote(Ladder { max_hold, hold: Duration::ZERO, ..ladder(&[2]) }),
    });
    plan
}

/// An engine, its capture, and all that came out of it. Ticks count from 0.
struct Trace {
    engine: Engine,
    source: Source,
    ticks: u64,
    signals: Vec<Signal>,
    edges: Vec<(u64, String, State)>,
    intents: Vec<Intent>,
}

impl Trace {
    fn new(plan: Plan) -> Self {
        let source = Source::new(plan.names.slots());
        let (signals, edges, intents) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine: Engine::new(plan), source, ticks: 0, signals, edges, intents }
    }

    /// As many queries in each of some ticks.
    fn queries(&mut self, slot: u32, ticks: u64, queries: u64) {
        for _ in 0..ticks {
            self.source.add(slot, Field::Queries, queries);
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.pass(TICK);
    }

    fn pass(&mut self, time: Duration) {
        let step = self.engine.step(self.source.pass(time));
        for signal in &step.signals {
            self.edges.push((self.ticks, signal.condition.clone(), signal.state));
        }
        self.signals.extend(step.signals);
        self.intents.extend(step.intents);
        self.ticks += 1;
    }

    fn actions(&self) -> Vec<Option<Action>> {
        self.engine.view().rungs().iter().map(|rung| rung.action).collect()
    }

    fn edges(&self) -> Vec<(u64, &str, State)> {
        self.edges.iter().map(|(tick, name, state)| (*tick, name.as_str(), *state)).collect()
    }

    fn values(&self) -> Vec<f64> {
        self.engine.view().standings().iter().map(|standing| standing.value.unwrap()).collect()
    }
}
