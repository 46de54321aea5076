//! Reads what runs beside the pipeline: `[up]`, `[phases.NAME]`, `[services.NAME]`, `[canary]`, `[rollups]`.

use std::collections::BTreeMap;

use crate::keys::{CANARY, PHASE, ROLLUPS, SERVICE, UP};
use crate::model::{Canary, Phase, PhaseName, Rollups, Runtime, ServiceConfig, Up};
use crate::reader::{Context, Reader, endpoint, unknown};
use crate::tree::Node;

pub(crate) fn read_up(node: &Node, context: &mut Context<'_>) -> Option<Up> {
    let mut r = Reader::open("up", node, &[&UP], context, &|_| None)?;
    let runtimes = [("docker", Runtime::Docker), ("external", Runtime::External), ("none", Runtime::None)];
    Some(Up {
        runtime: r.choice("runtime", &runtimes)?,
        compose_file: r.text("compose_file").unwrap_or_default().into(),
        containers: r.texts("containers").unwrap_or_default(),
        grafana: if r.has("grafana") { r.url("grafana") } else { None },
        grafana_database: if r.has("grafana_database") { r.url("grafana_database") } else { None },
        restart_wait: r.duration("restart_wait"),
        restart_wait_max: r.duration("restart_wait_max"),
        restarts_max: r.number("restarts_max"),
        restarts_within: r.duration("restarts_within"),
        stop_timeout: r.duration("stop_timeout"),
        log_bytes_max: r.bytes("log_bytes_max"),
        log_files_max: r.number("log_files_max"),
    })
}

pub(crate) fn read_phase(
    path: &str,
    name: &str,
    node: &Node,
    context: &mut Context<'_>,
) -> Option<(PhaseName, Phase)> {
    let Some(phase) = PhaseName::of(name) else {
        let rule = unknown(name, PhaseName::ALL.into_iter().map(PhaseName::name));
        context.violations.add(node.place, path, rule);
        return None;
    };
    let mut r = Reader::open(path, node, &[&PHASE], context, &|_| None)?;
    let after = r.subset("after").iter().filter_map(|name| PhaseName::of(name)).collect();
    Some((phase, Phase { after, deadline: r.duration("deadline") }))
}

pub(crate) fn read_service(path: &str, node: &Node, context: &mut Context<'_>) -> Option<ServiceConfig> {
    let mut r = Reader::open(path, node, &[&SERVICE], context, &|_| None)?;
    if ["services.engine", "services.publishers", "services.up"].contains(&path) {
        let rule = "is a name that tickline up uses itself, take another";
        r.context.violations.add(r.place, path, rule);
    }
    let command = r.texts("command")?;
    if command.is_empty() {
        r.wrong("command", "must have a program, found nothing");
    }
    let phases = [("publishers", PhaseName::Publishers), ("engine", PhaseName::Engine)];
    let phase = r.choice("phase", &phases)?;
    let ready = if r.has("ready") { r.special("ready", endpoint) } else { None };
    Some(ServiceConfig { command, phase, ready })
}

pub(crate) fn read_canary(node: &Node, context: &mut Context<'_>) -> Option<Canary> {
    let mut r = Reader::open("canary", node, &[&CANARY], context, &|_| None)?;
    Some(Canary { every: r.retention("every"), timeout: r.duration("timeout") })
}

pub(crate) fn read_rollups(node: &Node, context: &mut Context<'_>) -> Option<Rollups> {
    let mut r = Reader::open("rollups", node, &[&ROLLUPS], context, &|_| None)?;
    let policy = if r.has("policy") { r.text("policy") } else { None };
    Some(Rollups { policy, settle: r.duration("settle") })
}

/// The phases in an order in which each stands after those it waits for, else in the usual one; an error names those
/// that wait for each other.
pub(crate) fn ordered(phases: &BTreeMap<PhaseName, Phase>) -> Result<Vec<PhaseName>, Vec<PhaseName>> {
    let (mut order, mut left): (Vec<PhaseName>, Vec<PhaseName>) =
        (Vec::new(), phases.keys().copied().collect());
    while !left.is_empty() {
        let free =
            |name: &PhaseName| phases.get(name).is_none_or(|of| of.after.iter().all(|a| order.contains(a)));
        let Some(at) = left.iter().position(free) else { return Err(left) };
        order.push(left.remove(at));
    }
    Ok(order)
}
