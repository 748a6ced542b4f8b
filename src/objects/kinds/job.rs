//! Job: pods that run to their end, until enough of them have succeeded.

use serde_json::{Value, json};

use super::{COMMON, Field, Kind};
use crate::conditions::is_true;
use crate::field_error::FieldError;
use crate::object::{Object, get};
use crate::podspec::defaults;
use crate::podspec::validate::not_negative;
use crate::table::{Column, age};
use crate::{indexes, names, selector::LabelSelector, time, validate, workload};

pub static KIND: Kind = Kind {
    group: "batch",
    kind: "Job",
    plural: "jobs",
    singular: "job",
    about: "Pods that run to their end, until enough of them have succeeded.",
    categories: &["all"],
    has_status: true,
    has_generation: true,
    orphans_by_default: true,
    definition: "batch.v1.Job",
    defaults,
    validate,
    validate_status,
    on_create: |object| object.set(&["status"], json!({})),
    on_named: generate_selector,
    fields: &[Field { label: "status.successful", path: &["status", "succeeded"], missing: "0" }],
    columns: &[
        Column::NAME,
        Column::text("Status", "Status of the job."),
        Column::text("Completions", "How many pods have succeeded, of how many."),
        Column::text("Duration", "Time required to complete the job."),
        Column::AGE,
        Column::text("Containers", "Names of the template's containers.").wide(),
        Column::text("Images", "Images of the template's containers.").wide(),
        Column::text("Selector", "Which pods are its own.").wide(),
    ],
    row,
    ..COMMON
};

/// The Job has counted the pod, or will: only then may the pod go.
pub const FINALIZER: &str = "batch.kubernetes.io/job-tracking";
/// Annotation and label of a pod of an Indexed Job.
pub const INDEX: &str = "batch.kubernetes.io/job-completion-index";
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
const TEMPLATE_LABELS: [&str; 4] = ["spec", "template", "metadata", "labels"];
/// Keeps the text of completedIndexes at a bearable length.
const INDEXED_PARALLELISM_MAX: i64 = 100_000;
/// What no controller here does.
const NOT_DONE_HERE: [&str; 6] = [
    "backoffLimitPerIndex",
    "managedBy",
    "maxFailedIndexes",
    "podFailurePolicy",
    "successPolicy",
    "ttlSecondsAfterFinished",
];

pub fn is_indexed(job: &Object) -> bool {
    job.get_str(&["spec", "completionMode"]) == "Indexed"
}

/// Complete or failed: nothing more is done for it.
pub fn is_finished(job: &Object) -> bool {
    is_true(job, "Complete") || is_true(job, "Failed")
}

fn defaults(object: &mut Object) {
    let missing = |object: &Object, field: &str| object.get(&["spec", field]).is_none_or(Value::is_null);
    if missing(object, "completions") && missing(object, "parallelism") {
        object.set(&["spec", "completions"], 1);
    }
    object.set_default(&["spec", "parallelism"], 1);
    object.set_default(&["spec", "backoffLimit"], 6);
    object.set_default(&["spec", "completionMode"], "NonIndexed");
    object.set_default(&["spec", "suspend"], false);
    object.set_default(&["spec", "podReplacementPolicy"], "TerminatingOrFailed");
    object.set_default(&["spec", "manualSelector"], false);
    if let Some(spec) = object.get_mut(&["spec", "template", "spec"]).and_then(Value::as_object_mut) {
        defaults::pod_spec(spec);
    }
    labels_of_template(object);
}

/// A Job without labels has those of its template.
fn labels_of_template(object: &mut Object) {
    if let Some(labels) = object.get(&TEMPLATE_LABELS).filter(|_| object.labels().is_empty()).cloned() {
        object.set(&["metadata", "labels"], labels);
    }
}

/// Labels of its pods, and a selector, that no other Job has: they name its uid. What the author said stays, and
/// is refused if it does not agree.
fn generate_selector(object: &mut Object) {
    let (name, uid) = (object.name().to_string(), object.uid().to_string());
    let names = NAME_LABELS.iter().map(|label| (*label, &name));
    for (label, value) in names.chain(UID_LABELS.iter().map(|label| (*label, &uid))) {
        object.set_default(&[&TEMPLATE_LABELS[..], &[label]].concat(), value.as_str());
    }
    object.set_default(&["spec", "selector", "matchLabels", UID_LABELS[1]], uid.as_str());
    labels_of_template(object);
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<FieldError> {
    let mut errors = generated_selector(object);
    errors.extend(numbers(object));
    errors.extend(mode(object));
    errors.extend(not_done_here(object));
    let policy = object.get_str(&["spec", "podReplacementPolicy"]);
    let policies = ["Failed", "TerminatingOrFailed"];
    if !policies.contains(&policy) {
        errors.push(FieldError::not_supported("spec.podReplacementPolicy", policy, &policies));
    }
    errors.extend(workload::template(object));
    errors.extend(restart_policy(object));
    errors.extend(selector(object));
    errors.extend(host_name(object));
    if let Some(old) = old {
        errors.extend(changes(object, old));
    }
    errors
}

/// The labels and the selector that were generated are there.
fn generated_selector(object: &Object) -> Vec<FieldError> {
    let Some(selector) = object.get(&["spec", "selector"]) else { return Vec::new() };
    let mut errors = Vec::new();
    if object.uid().is_empty() {
        errors.push(FieldError::required("metadata.uid", ""));
    }
    let labels = object.get(&TEMPLATE_LABELS).cloned().unwrap_or_else(|| json!({}));
    let mut generated = json!({});
    for (uids, names) in UID_LABELS.iter().zip(NAME_LABELS) {
        for (label, wanted) in [(*uids, object.uid()), (names, object.name())] {
            let (field, detail) = (format!("spec.template.metadata.labels[{label}]"), format!("must be '{wanted}'"));
            match labels.get(label).and_then(Value::as_str) {
                None => errors.push(FieldError::required(&field, &detail)),
                Some(found) if found != wanted => {
                    errors.push(FieldError::invalid(&field, labels.clone(), &detail));
                }
                Some(_) => {}
            }
            generated[label] = wanted.into();
        }
    }
    if LabelSelector::from_value(Some(selector)).is_ok_and(|s| !s.matches_value(Some(&generated))) {
        errors.push(FieldError::invalid("spec.selector", selector.clone(), "`selector` not auto-generated"));
    }
    errors
}

fn numbers(object: &Object) -> Vec<FieldError> {
    let fields = ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit"];
    let each = fields.iter().flat_map(|field| {
        not_negative(object.get(&["spec", field]), &format!("spec.{field}"))
    });
    each.collect()
}

fn mode(object: &Object) -> Vec<FieldError> {
    let mode = object.get_str(&["spec", "completionMode"]);
    if !["NonIndexed", "Indexed"].contains(&mode) {
        return vec![FieldError::not_supported("spec.completionMode", mode, &["NonIndexed", "Indexed"])];
    }
    let mut errors = Vec::new();
    if is_indexed(object) && object.get_i64(&["spec", "completions"]).is_none() {
        errors.push(FieldError::required("spec.completions", "when completion mode is Indexed"));
    }
    let parallelism = object.get_i64(&["spec", "parallelism"]).unwrap_or(0);
    if is_indexed(object) && parallelism > INDEXED_PARALLELISM_MAX {
        let detail = format!(
            "must be less than or equal to {INDEXED_PARALLELISM_MAX} when completion mode is Indexed"
        );
        errors.push(FieldError::invalid("spec.parallelism", parallelism, &detail));
    }
    errors
}

/// A wish that nobody would grant is refused rather than forgotten.
fn not_done_here(object: &Object) -> Vec<FieldError> {
    let asked = NOT_DONE_HERE.iter().filter(|field| object.get(&["spec", field]).is_some());
    let mut errors: Vec<FieldError> =
        asked.map(|field| FieldError::forbidden(&format!("spec.{field}"), "not supported here")).collect();
    if object.get_bool(&["spec", "manualSelector"]) {
        errors.push(FieldError::forbidden("spec.manualSelector", "not supported here"));
    }
    errors
}

fn restart_policy(object: &Object) -> Vec<FieldError> {
    const FIELD: &str = "spec.template.spec.restartPolicy";
    match object.get_str(&["spec", "template", "spec", "restartPolicy"]) {
        "OnFailure" | "Never" => Vec::new(),
        "" | "Always" => vec![FieldError::required(FIELD, "valid values: \"OnFailure\", \"Never\"")],
        other => vec![FieldError::not_supported(FIELD, other, &["OnFailure", "Never"])],
    }
}

fn selector(object: &Object) -> Vec<FieldError> {
    let Some(value) = object.get(&["spec", "selector"]) else {
        return vec![FieldError::required("spec.selector", "")];
    };
    let mut errors = workload::selector_parts(value, "spec.selector");
    let labels = object.get(&TEMPLATE_LABELS);
    if workload::selector(object).is_ok_and(|selector| !selector.matches_value(labels)) {
        let labels = labels.cloned().unwrap_or_else(|| json!({}));
        let detail = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", labels, detail));
    }
    errors
}

/// Each pod's host name is the Job's name and its index: the longest must be a host name.
fn host_name(object: &Object) -> Vec<FieldError> {
    let last = object.get_i64(&["spec", "completions"]).filter(|count| is_indexed(object) && *count > 0);
    let Some(longest) = last.map(|count| format!("{}-{}", object.name(), count - 1)) else { return Vec::new() };
    if names::dns_label(&longest).is_empty() {
        return Vec::new();
    }
    let detail = format!("will not able to create pod with invalid DNS label: {longest}");
    vec![FieldError::invalid("metadata.name", object.name(), &detail)]
}

/// What may not change once the Job is there.
fn changes(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = completions(new, old);
    errors.extend(validate::immutable(new, old, &["spec", "selector"]));
    errors.extend(template(new, old));
    errors.extend(validate::immutable(new, old, &["spec", "completionMode"]));
    errors
}

/// An Indexed Job may grow and shrink, all its indexes at once.
fn completions(new: &Object, old: &Object) -> Vec<FieldError> {
    let path = ["spec", "completions"];
    if !is_indexed(new) {
        return validate::immutable(new, old, &path);
    }
    match new.get_i64(&path) {
        Some(count) if old.get_i64(&path) != Some(count) && new.get_i64(&["spec", "parallelism"]) != Some(count) => {
            let detail = "can only be modified in tandem with spec.parallelism";
            vec![FieldError::invalid("spec.completions", count, detail)]
        }
        _ => Vec::new(),
    }
}

/// The template stays, but for where its pods may go as long as none was made: suspended from the beginning.
fn template(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut before = old.clone();
    if old.get_bool(&["spec", "suspend"]) && old.get(&["status", "startTime"]).is_none() {
        let free: [&[&str]; 6] = [
            &["metadata", "annotations"],
            &["metadata", "labels"],
            &["spec", "nodeSelector"],
            &["spec", "tolerations"],
            &["spec", "schedulingGates"],
            &["spec", "affinity", "nodeAffinity"],
        ];
        for path in free.map(|path| [&["spec", "template"], path].concat()) {
            match new.get(&path) {
                Some(value) => before.set(&path, value.clone()),
                None => drop(before.remove(&path)),
            }
        }
    }
    validate::immutable(new, &before, &["spec", "template"])
}

fn validate_status(new: &Object, old: &Object) -> Vec<FieldError> {
    let counts = ["active", "succeeded", "failed", "ready", "terminating"];
    let mut errors = workload::validate_counts(new, &counts, &[]);
    errors.extend(uncounted(new));
    errors.extend(conditions(new, old));
    errors.extend(finished(new));
    errors.extend(times(new, old));
    errors.extend(completed_indexes(new, old));
    errors.extend(counters(new, old));
    errors
}

/// Each pod is named once.
fn uncounted(job: &Object) -> Vec<FieldError> {
    let mut seen: Vec<&str> = Vec::new();
    let mut errors = Vec::new();
    for list in ["succeeded", "failed"] {
        let uids = job.get_array(&["status", "uncountedTerminatedPods", list]);
        for (index, uid) in uids.iter().map(|uid| uid.as_str().unwrap_or("")).enumerate() {
            let field = format!("status.uncountedTerminatedPods.{list}[{index}]");
            if uid.is_empty() {
                errors.push(FieldError::invalid(&field, uid, "must not be empty"));
            } else if seen.contains(&uid) {
                errors.push(FieldError::duplicate(&field, uid));
            } else {
                seen.push(uid);
            }
        }
    }
    errors
}

fn conditions(new: &Object, old: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut say = |wrong: bool, detail: &str| {
        if wrong {
            errors.push(FieldError::invalid_whole("status.conditions", detail));
        }
    };
    let is = |of: &str| is_true(new, of);
    say(is("Complete") && is("Failed"), "cannot set Complete=True and Failed=true conditions");
    say(is("Complete") && is("FailureTarget"), "cannot set Complete=True and FailureTarget=true conditions");
    let detail = "cannot set Failed=True condition without the FailureTarget=true condition";
    say(is("Failed") && !is("FailureTarget"), detail);
    let detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
    say(is("Complete") && !is("SuccessCriteriaMet"), detail);
    let met = is("SuccessCriteriaMet");
    say(met && is("Failed"), "cannot set SuccessCriteriaMet=True and Failed=true conditions");
    say(met && is("FailureTarget"), "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions");
    for of in ["Failed", "Complete", "FailureTarget"] {
        let detail = format!("cannot disable the terminal {of}=True condition");
        say(is_true(old, of) && !is(of), &detail);
    }
    let detail = "cannot disable the SuccessCriteriaMet=True condition";
    say(is_true(old, "SuccessCriteriaMet") && !met, detail);
    errors
}

/// A finished Job has nothing left to do or to count.
fn finished(job: &Object) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if !is_finished(job) {
        return errors;
    }
    for field in ["active", "terminating"] {
        if let Some(count) = job.get_i64(&["status", field]).filter(|count| *count > 0) {
            let detail = format!("{field}>0 is invalid for finished job");
            errors.push(FieldError::invalid(&format!("status.{field}"), count, &detail));
        }
    }
    if job.get(&["status", "startTime"]).is_none() {
        errors.push(FieldError::required("status.startTime", "startTime is required for finished job"));
    }
    let waits = |list: &str| !job.get_array(&["status", "uncountedTerminatedPods", list]).is_empty();
    if waits("succeeded") || waits("failed") {
        let value = job.get(&["status", "uncountedTerminatedPods"]).cloned().unwrap_or_default();
        let detail = "uncountedTerminatedPods needs to be empty for finished job";
        errors.push(FieldError::invalid("status.uncountedTerminatedPods", value, detail));
    }
    errors
}

fn times(new: &Object, old: &Object) -> Vec<FieldError> {
    const FIELD: &str = "status.completionTime";
    let text = |job: &Object, field: &str| job.get_str(&["status", field]).to_string();
    let (start, end) = (text(new, "startTime"), text(new, "completionTime"));
    let mut errors = Vec::new();
    if !end.is_empty() && !is_true(new, "Complete") {
        let detail = "cannot set completionTime when there is no Complete=True condition";
        errors.push(FieldError::invalid(FIELD, end.as_str(), detail));
    }
    if end.is_empty() && is_true(new, "Complete") {
        errors.push(FieldError::required(FIELD, "completionTime is required for Complete jobs"));
    }
    if let (Some(began), Some(ended)) = (time::parse_rfc3339(&start), time::parse_rfc3339(&end))
        && ended < began
    {
        let detail = "completionTime cannot be set before startTime";
        errors.push(FieldError::invalid(FIELD, end.as_str(), detail));
    }
    let before = text(old, "completionTime");
    if !before.is_empty() && !end.is_empty() && before != end {
        errors.push(FieldError::invalid(FIELD, end.as_str(), "completionTime cannot be mutated"));
    }
    if !text(old, "startTime").is_empty() && start.is_empty() && !new.get_bool(&["spec", "suspend"]) {
        let detail = "startTime cannot be removed for unsuspended job";
        errors.push(FieldError::required("status.startTime", detail));
    }
    errors
}

/// Looked at when they change: a Job that shrank may still name indexes it no longer has.
fn completed_indexes(new: &Object, old: &Object) -> Vec<FieldError> {
    const FIELD: &str = "status.completedIndexes";
    let (is, was) = (new.get_str(&["status", "completedIndexes"]), old.get_str(&["status", "completedIndexes"]));
    if is == was {
        return Vec::new();
    }
    if !is_indexed(new) && !is.is_empty() {
        let detail = "cannot set non-empty completedIndexes when non-indexed completion mode";
        return vec![FieldError::invalid(FIELD, is, detail)];
    }
    let completions = new.get_i64(&["spec", "completions"]).unwrap_or(0);
    match indexes::parse(is, completions) {
        Ok(_) => Vec::new(),
        Err(why) => vec![FieldError::invalid(FIELD, is, &format!("error parsing completedIndexes: {why}"))],
    }
}

/// Counters go up; succeeded may go down in an Indexed Job that shrinks.
fn counters(new: &Object, old: &Object) -> Vec<FieldError> {
    let count = |job: &Object, field: &str| job.get_i64(&["status", field]).unwrap_or(0);
    let spec = |field: &str| new.get_i64(&["spec", field]);
    let shrinks = is_indexed(new) && spec("completions") == spec("parallelism");
    let fields = [("failed", true), ("succeeded", !shrinks)];
    let less = fields.iter().filter(|(field, held)| *held && count(new, field) < count(old, field));
    less.map(|(field, _)| {
        let detail = format!("cannot decrease the {field} counter");
        FieldError::invalid(&format!("status.{field}"), count(new, field), &detail)
    })
    .collect()
}

fn row(job: &Object, now: u64) -> Vec<Value> {
    let succeeded = job.get_i64(&["status", "succeeded"]).unwrap_or(0);
    let parallelism = job.get_i64(&["spec", "parallelism"]).unwrap_or(0);
    let completions = match job.get_i64(&["spec", "completions"]) {
        Some(completions) => format!("{succeeded}/{completions}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    };
    let [names, images] = workload::container_cells(job);
    vec![
        json!(job.name()),
        json!(word(job)),
        json!(completions),
        json!(duration(job, now)),
        age(job, now),
        names,
        images,
        workload::selector_cell(job),
    ]
}

/// How the Job stands, in a word.
pub fn word(job: &Object) -> &'static str {
    match () {
        () if is_true(job, "Complete") => "Complete",
        () if is_true(job, "Failed") => "Failed",
        () if job.deletion_timestamp().is_some() => "Terminating",
        () if is_true(job, "Suspended") => "Suspended",
        () if is_true(job, "FailureTarget") => "FailureTarget",
        () if is_true(job, "SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

/// From its start to its end, or to now; "" when it has not begun.
fn duration(job: &Object, now: u64) -> String {
    let at = |field: &str| get(job.value(), &["status", field]).and_then(Value::as_str).and_then(time::parse_rfc3339);
    let Some(began) = at("startTime") else { return String::new() };
    time::human_duration(at("completionTime").unwrap_or(now).saturating_sub(began) / 1_000_000_000)
}
