//! Shops before and after an edit, and the pages that people read.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use kube::core::DynamicObject;
use serde::Deserialize as _;
use serde_json::{Value, json};
use storefront_operator::{
    Storefront,
    controller::{apply::with_hash, cluster::FIELD_MANAGER, observe::Live},
    manifest::Manifest,
    plan::{Placement, plan},
    references,
    render::{Apis, Generated, Input, Options, render},
};

use super::{
    installed,
    look::{Seen, Shops},
    page,
    story::{Known, Story, rendered, tell},
};
use crate::terminal::Terminal;

/// Every field of an object, as `managedFields` writes it.
fn fields(value: &Value) -> Value {
    let mut fields = serde_json::Map::new();
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                fields.insert(format!("f:{name}"), self::fields(value));
            }
        }
        Value::Array(entries) => {
            for entry in entries.iter().filter(|entry| entry["name"].is_string()) {
                let key = json!({"name": entry["name"]});
                fields.insert(format!("k:{key}"), self::fields(entry));
            }
        }
        _ => {}
    }
    fields.into()
}

/// What the operator has applied for a shop.
fn live(storefront: &Storefront) -> Live {
    let placement = Placement::cluster(storefront, "shops").unwrap();
    let plan = plan(storefront, &placement).unwrap();
    let objects = render(&Input {
        storefront,
        plan: &plan,
        placement: &placement,
        options: &Options::default(),
        generated: &Generated::placeholders(),
        apis: &Apis::default(),
    });
    let applied = |object| {
        let mut value = with_hash(object).unwrap();
        let owned =
            json!({"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": fields(&value)});
        value["metadata"]["managedFields"] = json!([owned]);
        serde_json::from_value(value).unwrap()
    };
    Live { objects: objects.iter().map(applied).collect() }
}

/// Puts the fields of an edit into an object; entries of lists by their names.
fn merge(value: &mut Value, edit: &Value) {
    match (value, edit) {
        (Value::Object(fields), Value::Object(edits)) => {
            for (name, edit) in edits {
                merge(fields.entry(name).or_insert(Value::Null), edit);
            }
        }
        (Value::Array(entries), Value::Array(edits)) => {
            for edit in edits {
                let entry = entries.iter_mut().find(|it| it["name"] == edit["name"]).unwrap();
                merge(entry, edit);
            }
        }
        (value, edit) => *value = edit.clone(),
    }
}

fn told(text: &str) -> Story {
    let documents: Vec<Value> = serde_yaml::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).unwrap())
        .collect();
    let before: Option<Storefront> = serde_json::from_value(documents[0].clone()).unwrap();
    let manifest = Manifest {
        storefront: serde_json::from_value(documents[1].clone()).unwrap(),
        config_maps: BTreeMap::new(),
        ignored: Vec::new(),
    };
    let mut after = before.clone().unwrap_or_else(|| manifest.storefront.clone());
    after.spec = manifest.storefront.spec.clone();
    after.metadata.uid.get_or_insert_with(|| "new".to_owned());
    let mut live = before.as_ref().map(live).unwrap_or_default();
    let rest = documents.get(2).cloned().unwrap_or_default();
    if rest["kind"] == "Edit" {
        let name = |it: &DynamicObject| {
            let kind = it.types.clone().unwrap_or_default().kind;
            format!("{kind} {}", it.metadata.name.clone().unwrap_or_default())
        };
        let object = live.objects.iter_mut().find(|it| name(it) == rest["of"].as_str().unwrap());
        let object = object.unwrap();
        let mut value = serde_json::to_value(&*object).unwrap();
        merge(&mut value, &rest["edit"]);
        *object = serde_json::from_value(value).unwrap();
    }
    let unseen: BTreeSet<String> =
        serde_json::from_value(rest.get("kinds").cloned().unwrap_or_else(|| json!([]))).unwrap();
    let place = |shop: &Storefront| Placement::cluster(shop, "shops").unwrap();
    let plan_of = |shop: &Storefront| plan(shop, &place(shop)).unwrap();
    let plan_after = plan_of(&after);
    let references = references::references(&plan_after);
    let mut installed = installed::of_shop(before.as_ref(), &live);
    installed.version = rest["version"].as_str().map(str::to_owned);
    let seen = Seen {
        live,
        apis: Apis::default(),
        missing: references.iter().filter_map(|it| references::missing(it, None)).collect(),
        generated: Ok(Generated::placeholders()),
        installed,
        not_looked_at: unseen
            .iter()
            .map(|kind| format!("{kind}s: you may not list them"))
            .collect(),
        unseen,
    };
    let plan_before = before.as_ref().map(plan_of);
    let all = before.iter().cloned().map(Arc::new).collect();
    let shops = Shops { before, after, all, no_place: None, not_looked_at: Vec::new() };
    let placement = place(&shops.after);
    let objects = rendered(&shops, &seen, &placement, &plan_after);
    let known = Known {
        manifest: &manifest,
        shops: &shops,
        seen: &seen,
        objects: &objects,
        plan: &plan_after,
        plan_before: plan_before.as_ref(),
    };
    tell(&known).unwrap()
}

/// Every case by its name; rules of edits take their time.
static STORIES: LazyLock<BTreeMap<String, Story>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/cases");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let told = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        (name, self::told(&std::fs::read_to_string(path).unwrap()))
    };
    files.map(told).collect()
});

fn case(name: &str) -> &'static Story {
    &STORIES[name]
}

/// The page, without hashes: they are others with every setting that a service gets.
fn without_hashes(story: &Story) -> String {
    let page = page::text(story, Terminal::default());
    let is_hash = |word: &str| word.len() == 16 && word.chars().all(|c| c.is_ascii_hexdigit());
    let bare = |word: &str| {
        if is_hash(word.trim()) { word.replace(word.trim(), "HASH") } else { word.to_owned() }
    };
    page.split_inclusive([' ', '\n']).map(bare).collect()
}

#[test]
fn a_plan_is_shown_with_what_it_costs() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        for (name, story) in STORIES.iter() {
            insta::assert_snapshot!(name.as_str(), without_hashes(story));
        }
    });
}

#[test]
fn what_is_the_same_changes_nothing_and_what_is_refused_neither() {
    assert!(!case("converged").changes_something());
    assert!(case("edit").changes_something() && !case("edit").is_refused());
    assert!(case("refused").is_refused() && case("taken").is_refused());
}

#[test]
fn colours_mark_what_comes_and_goes_and_nothing_else_changes() {
    let story = case("edit");
    let plain = page::text(story, Terminal::default());
    let coloured = page::text(story, Terminal { width: None, colours: true });
    assert!(coloured.contains("\u{1b}[31m  - spec.services.order.replicas: 1\u{1b}[0m"));
    assert!(coloured.contains("\u{1b}[32m  + spec.services.order.replicas: 3\u{1b}[0m"));
    let mut bare = coloured;
    for code in ["1", "2", "31", "32", "33", "0"] {
        bare = bare.replace(&format!("\u{1b}[{code}m"), "");
    }
    assert_eq!(bare, plain);
}

#[test]
fn no_value_of_a_secret_is_told() {
    let story = case("secret-rotated");
    let json = serde_json::to_string(story).unwrap();
    let page = page::text(story, Terminal::default());
    for value in ["aHVudGVyMg", "hunter2", "sk_test", "c2tfdGVzd"] {
        assert!(!json.contains(value) && !page.contains(value), "{value}: {page}");
    }
    assert!(page.contains("data.api-key"), "{page}");
}
