//! What a harm says of how a process comes back, and of its CPU and memory.

use super::{
    HarmKind, Role, Target,
    harms::only,
    read::knobs,
    target::targets,
    units::{size, time},
    yaml::{Mistake, Node, Table},
};

/// `restart: one apiserver`, with or without `knobs: { watchQueue: 4 }`.
pub fn restart(node: &Node, table: &Table<'_>) -> Result<(HarmKind, Vec<Target>), Mistake> {
    let of = targets(node)?;
    let Some(with) = table.get("knobs") else { return Ok((HarmKind::Restart, of)) };
    let knobs = knobs(Some(with))?;
    if knobs.is_empty() {
        return Err(Mistake::new(
            with.place,
            "no knob is changed here",
            "at least one, such as `watchQueue: 4`",
        ));
    }
    Ok((HarmKind::RestartWith { knobs }, of))
}

/// A member of the store that lost its disk is another matter: it has promised what it no longer knows.
pub fn replace(node: &Node) -> Result<(HarmKind, Vec<Target>), Mistake> {
    let stateless = [Role::ApiServer, Role::Manager, Role::Scheduler, Role::Node];
    Ok((HarmKind::Replace, only(node, &stateless)?))
}

/// `cpu: { slow: 100us..1ms }`: there is no factor to say, since computing takes no time in a simulation.
pub fn cpu(node: &Node) -> Result<HarmKind, Mistake> {
    const EXPECTED: &str = "what each step of a task takes, such as 100us or 50us..1ms";
    let slow = node.table("cpu", &["slow"])?.need("slow")?;
    let draw = time(slow).map_err(|mistake| Mistake::new(mistake.place, mistake.message, EXPECTED))?;
    if draw.bounds().0 < 1 {
        return Err(Mistake::new(slow.place, "a step that takes no time is not slow", EXPECTED));
    }
    Ok(HarmKind::SlowCpu(draw))
}

/// `memory: { limit: 512KiB }`: bytes that its parts may hold together, as they count them.
pub fn memory(node: &Node) -> Result<HarmKind, Mistake> {
    let limit = node.table("memory", &["limit"])?.need("limit")?;
    let draw = size(limit)?;
    if draw.bounds().0 < 1 {
        let message = "a process that may hold nothing never lives";
        return Err(Mistake::new(limit.place, message, "at least 1 byte, such as 256KiB..1MiB"));
    }
    Ok(HarmKind::MemoryLimit(draw))
}
