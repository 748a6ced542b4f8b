//! What a user does to the control plane at a time of the scenario's: apply, scale, set-image or delete.

use super::KubeDeed;
use super::harms::{Detail, belonging};
use super::read::one;
use super::units::count;
use super::yaml::{Mistake, Node, Table, Value};

pub const DEEDS: [&str; 4] = ["apply", "scale", "set-image", "delete"];

pub(super) const OF_DEEDS: [Detail; 3] =
    [("replicas", &["scale"]), ("image", &["set-image"]), ("propagation", &["delete"])];

/// Every key of what a user does.
pub(super) fn deed_keys() -> Vec<&'static str> {
    DEEDS.into_iter().chain(OF_DEEDS.map(|(key, _)| key)).collect()
}

pub(super) fn kube_deed(
    deed: &str,
    node: &Node,
    table: &Table<'_>,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<KubeDeed, Mistake> {
    belonging(table, deed, &OF_DEEDS)?;
    let deployment = || -> Result<String, Mistake> {
        let word = node.word("deployment/NAME")?;
        word.strip_prefix("deployment/").map(str::to_string).ok_or_else(|| node.wrong("deployment/NAME"))
    };
    Ok(match deed {
        "apply" => KubeDeed::Apply(manifest(node, include)?),
        "scale" => {
            KubeDeed::Scale { deployment: deployment()?, replicas: one(table.need("replicas")?, count)? }
        }
        "set-image" => {
            let image = table.need("image")?.word("an image, such as \"web:v2\"")?.to_string();
            KubeDeed::SetImage { deployment: deployment()?, image }
        }
        _ => KubeDeed::Delete {
            deployment: deployment()?,
            foreground: table.get("propagation").map_or(Ok(false), is_foreground)?,
        },
    })
}

/// What is orphaned would stay for ever: nobody's wish here.
fn is_foreground(node: &Node) -> Result<bool, Mistake> {
    match node.word("Background or Foreground")? {
        "Foreground" => Ok(true),
        "Background" => Ok(false),
        _ => Err(node.wrong("Background or Foreground")),
    }
}

fn manifest(node: &Node, include: &dyn Fn(&str) -> Result<String, String>) -> Result<String, Mistake> {
    let json = match &node.value {
        Value::Table(_) => node.json(),
        Value::Scalar(path) => {
            let text =
                include(path).map_err(|why| Mistake::new(node.place, why, "the path of a manifest"))?;
            let manifest = Node::read(&text).map_err(|inner| {
                Mistake::new(
                    node.place,
                    format!("{path}:{}: {}", inner.place.line, inner.message),
                    inner.expected,
                )
            })?;
            manifest.json()
        }
        _ => return Err(node.wrong("a manifest, or the path of one")),
    };
    if json["kind"].is_null() || json["metadata"]["name"].is_null() {
        return Err(Mistake::new(node.place, "this is not a manifest", "apiVersion, kind and metadata.name"));
    }
    Ok(json.to_string())
}
