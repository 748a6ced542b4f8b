//! What the API server is asked for and sent: paths, queries, selectors, continue tokens, bodies in JSON and protobuf, and
//! patches.

use crate::{
    Seed,
    input::{Input, Output},
};
use api::{
    decode::{self, FieldValidation, WriteOptions},
    protobuf,
    request::{Query, Route},
    storage::token::Token,
};
use http::Method;
use objects::{
    FieldSelector, KINDS, Kind, LabelSelector, Object,
    kinds::by_kind,
    patch::{self, PatchType},
    quantity::Quantity,
    table, time,
};

const JSON: &str = "application/json";

pub fn objects(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    match input.byte() % 5 {
        0 => asked(&mut input),
        1 => sent(JSON, &mut input),
        2 => sent(protobuf::MEDIA_TYPE, &mut input),
        3 => patched(&mut input),
        _ => texts(&mut input),
    }
}

/// A path and a query.
fn asked(input: &mut Input) {
    let (path, query) = (input.text(), Query::parse(&input.text()));
    let _ = WriteOptions::parse(&query);
    let _ = (query.number("limit"), query.number("timeoutSeconds"), query.is_true("watch"));
    let _ = Token::decode(query.get("continue"));
    let Route::Objects(target) = Route::parse(&path) else { return };
    let _ = target.verb(&Method::GET, &query);
    let _ = target.key();
    let _ = FieldSelector::parse(target.kind, query.get("fieldSelector"));
    let _ = LabelSelector::parse(query.get("labelSelector"));
}

/// A body, as one that creates an object and as one that replaces it.
fn sent(content_type: &str, input: &mut Input) {
    let (kind, body) = (input.pick(KINDS), input.rest());
    if let Ok((object, _)) = decode::object(kind, content_type, body, FieldValidation::Warn) {
        kept(kind, object);
    }
    let _ = decode::value_as("autoscaling.v1.Scale", content_type, body);
    let _ = decode::value_as("meta.v1.DeleteOptions", content_type, body);
}

/// What is done with an object on its way into the store, and out of it.
fn kept(kind: &'static Kind, mut object: Object) {
    let read = Object::from_bytes(&object.to_bytes());
    assert_eq!(read.as_ref(), Ok(&object), "an object that is written is the one that was read");
    kind.apply_defaults(&mut object);
    kind.prepare_create(&mut object);
    (kind.on_named)(&mut object);
    let _ = kind.check_create(&object);
    let mut new = object.clone();
    kind.prepare_update(&mut new, &object);
    let _ = kind.check_update(&new, &object);
    kind.prepare_status_update(&mut new, &object);
    let _ = kind.check_status_update(&new, &object);
    let _ = LabelSelector::from_value(object.get(&["spec", "selector"]))
        .map(|selector| selector.matches(&object));
    let _ = table::partial_metadata(&object);
    let _ = (kind.row)(&object, 1_700_000_000_000_000_000);
}

/// An object, and what is to become of it.
fn patched(input: &mut Input) {
    let (kind, of) = (input.pick(KINDS), *input.pick(&PatchType::ALL));
    let (object, patch) = (input.block(), input.rest());
    let Ok((object, _)) = decode::object(kind, JSON, object, FieldValidation::Ignore) else { return };
    if let Ok(mut new) = patch::apply(of, kind, &object, patch)
        && decode::known_fields(kind, &mut new).is_ok()
    {
        kept(kind, new);
    }
}

/// Texts that mean something.
fn texts(input: &mut Input) {
    let kind = input.pick(KINDS);
    let text = String::from_utf8_lossy(input.rest());
    if let Ok(selector) = LabelSelector::parse(&text) {
        selector.matches(&Object::new("v1", "Pod"));
    }
    if let Ok(selector) = FieldSelector::parse(kind, &text) {
        selector.matches(kind, &Object::new("v1", "Pod"));
    }
    if let Ok(quantity) = Quantity::parse(&text) {
        let again = Quantity::parse(&quantity.to_string());
        assert_eq!(again, Ok(quantity), "an amount that is written is the one that was read");
        let _ = (quantity.plus(quantity), quantity.minus(quantity), quantity.units());
    }
    if let Some(ns) = time::parse_rfc3339(&text) {
        assert_eq!(time::parse_rfc3339(&time::rfc3339_micros(ns)).map(|ns| ns / 1_000), Some(ns / 1_000));
    }
    if let Ok(token) = Token::decode(&text) {
        assert_eq!(
            Token::decode(&token.encode()),
            Ok(token),
            "a token that is written is the one that was read"
        );
    }
}

/// One of a kind.
fn number(api_version: &str, kind: &str) -> u8 {
    let wanted = by_kind(api_version, kind).expect("a kind that is served");
    KINDS.iter().position(|kind| kind.kind == wanted.kind).expect("one of them") as u8
}

const POD: &str = r#"{"metadata":{"name":"a","labels":{"app":"a"},"finalizers":["a.b/c"]},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"100m","memory":"1Gi"}},"ports":[{"containerPort":80}],"env":[{"name":"A","value":"1"}]}],"tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute","tolerationSeconds":3}]}}"#;
const DEPLOYMENT: &str = r#"{"metadata":{"name":"a"},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"a"},"matchExpressions":[{"key":"b","operator":"In","values":["c"]}]},"strategy":{"rollingUpdate":{"maxSurge":"25%","maxUnavailable":1}},"template":{"metadata":{"labels":{"app":"a","b":"c"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}"#;
const JOB: &str = r#"{"metadata":{"name":"a"},"spec":{"completions":3,"parallelism":2,"completionMode":"Indexed","backoffLimitPerIndex":1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}}"#;
const SERVICE: &str =
    r#"{"metadata":{"name":"a"},"spec":{"selector":{"app":"a"},"ports":[{"port":80,"targetPort":"http"}]}}"#;
const LEASE: &str = r#"{"metadata":{"name":"a"},"spec":{"holderIdentity":"h","leaseDurationSeconds":15,"renewTime":"2024-01-02T03:04:05.678901Z"}}"#;
/// What kubectl sends for `create deployment web --image=web:v1 --replicas=0 --port=80`.
const OF_KUBECTL: &str = "azhzAAoVCgdhcHBzL3YxEgpEZXBsb3ltZW50ErcBCh8KA3dlYhIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEoUBCAASDAoKCgNhcHASA3dlYhprChwKABIAGgAiACoAMgA4AEIAWgoKA2FwcBIDd2ViEksSLQoDd2ViEgZ3ZWI6djEqADIKCgAQABhQIgAqAEIAagByAIABAIgBAJABAKIBABoAMgBCAEoAUgBYAGAAaACCAQCKAQCaAQDCAQAiAgoAKAA4ABoMCAAQABgAIAAoADgAGgAiAA==";

pub fn seeds() -> Vec<Seed> {
    let output = Output::default;
    let query =
        "labelSelector=a+in+%28b%2Cc%29%2C%21d&fieldSelector=metadata.name%3Da&limit=5&watch=1&dryRun=All";
    let paths = ["/api/v1/namespaces/n/pods/a/status", "/apis/apps/v1/watch/deployments", "/api/v1/nodes"];
    let asked = paths.iter().enumerate().map(|(number, path)| {
        (
            format!("path-{number}"),
            output().byte(0).block(path.as_bytes()).block(query.as_bytes()).into_bytes(),
        )
    });
    let kinds = [
        ("v1", "Pod", POD),
        ("apps/v1", "Deployment", DEPLOYMENT),
        ("apps/v1", "ReplicaSet", DEPLOYMENT),
        ("batch/v1", "Job", JOB),
        ("v1", "Service", SERVICE),
        ("coordination.k8s.io/v1", "Lease", LEASE),
        ("v1", "Node", SERVICE),
    ];
    let sent = kinds.iter().map(|(version, kind, body)| {
        (
            format!("body-{kind}"),
            output().byte(1).byte(number(version, kind)).rest(body.as_bytes()).into_bytes(),
        )
    });
    let patches: [(u8, &str); 3] = [
        (
            0,
            r#"[{"op":"replace","path":"/spec/containers/0/image","value":"j"},{"op":"remove","path":"/metadata/labels/app"}]"#,
        ),
        (1, r#"{"metadata":{"labels":{"app":null,"b":"c"}},"spec":{"priority":1}}"#),
        (
            2,
            r#"{"spec":{"containers":[{"name":"c","env":[{"name":"A","$patch":"delete"}]}],"$setElementOrder/containers":[{"name":"c"}]},"metadata":{"$deleteFromPrimitiveList/finalizers":["a.b/c"]}}"#,
        ),
    ];
    let pod = number("v1", "Pod");
    let patches = patches.into_iter().map(|(of, patch)| {
        let seed = output().byte(3).byte(pod).byte(of).block(POD.as_bytes()).rest(patch.as_bytes());
        (format!("patch-{of}"), seed.into_bytes())
    });
    let token = Token::after("n/a", 7).encode();
    let texts = [
        "a in (b,c),!d,e!=f",
        "metadata.name=a,spec.nodeName!=",
        "1.5Gi",
        "100m",
        "2024-01-02T03:04:05Z",
        &token,
    ];
    let texts: Vec<Seed> = texts
        .iter()
        .enumerate()
        .map(|(number, text)| {
            (format!("text-{number}"), output().byte(4).byte(pod).rest(text.as_bytes()).into_bytes())
        })
        .collect();
    let deployment = number("apps/v1", "Deployment");
    let of_kubectl = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, OF_KUBECTL);
    let of_kubectl = output().byte(2).byte(deployment).rest(&of_kubectl.expect("it is base64")).into_bytes();
    asked.chain(sent).chain(patches).chain(texts).chain([("of-kubectl".into(), of_kubectl)]).collect()
}
