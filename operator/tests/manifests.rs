//! What people read when their manifest is wrong: one file a mistake, one reviewed snapshot each.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use storefront_operator::manifest;

fn load(path: &Path) -> Result<manifest::Manifest, manifest::ManifestError> {
    let file = path.file_name().unwrap().to_string_lossy();
    manifest::load(&file, &fs::read_to_string(path).unwrap())
}

#[test]
fn a_wrong_manifest_is_refused_in_words_that_help() {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::glob!("bad/*.yaml", |path| {
            insta::assert_snapshot!(load(path).unwrap_err());
        });
    });
}

/// Whatever its size, a file is answered at once, and by no more than can be read.
#[test]
fn a_large_file_is_answered_at_once() {
    let head = "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {name: demo}\nspec:\n  payment: {sandbox: {}}\n";
    let many = |line: &dyn Fn(usize) -> String| (0..10_000).map(line).collect::<String>();
    let products = many(&|_| "    - {id: a, name: '', price: -1}\n".into());
    let aliases = |text: usize, many: usize| {
        let (text, many) = ("x".repeat(text), "*a, ".repeat(many));
        format!("a: &a {text}\nb: [{many}]\n---\n{head}")
    };
    for (what, text, is_right) in [
        ("few aliases", aliases(1 << 10, 1 << 10), true),
        ("a long text and many aliases of it", aliases(1 << 20, 1 << 18), false),
        ("many unknown fields", format!("{head}{}", many(&|n| format!("  field{n}: 1\n"))), false),
        ("many products", format!("{head}  catalog:\n    products:\n{products}"), false),
        ("many documents", format!("{head}{}", many(&|n| format!("---\na{n}: 1\n"))), true),
        ("many documents and no shop", many(&|n| format!("---\na{n}: 1\n")), false),
        ("a long name", format!("{head}  {}: 1\n", "x".repeat(1 << 20)), false),
        ("a long value", format!("{head}  currency: {}\n", "x".repeat(1 << 20)), false),
        ("more than is read", format!("{head}#{}", "x".repeat(manifest::MAX_BYTES)), false),
    ] {
        let began = Instant::now();
        let found = manifest::load("shop.yaml", &text).map_or_else(|it| it.problems.len(), |_| 0);
        assert!(found <= 31 && (found == 0) == is_right, "{what}: {found} problems");
        // Of seconds, on a busy machine without optimisation; it was hours for some of them.
        assert!(began.elapsed() < Duration::from_secs(60), "{what} took {:?}", began.elapsed());
    }
}

#[test]
fn the_examples_are_right() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        // The compose file is written from the demo shop, and is none itself.
        let is_compose = path.file_name().is_some_and(|name| name == "compose.yaml");
        if !is_compose && path.extension().is_some_and(|extension| extension == "yaml") {
            let manifest = load(&path).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(manifest.ignored, Vec::<String>::new(), "{}", path.display());
        }
    }
}

#[test]
fn other_objects_in_the_file_are_told_apart() {
    let text = "\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: products}
data: {catalog.json: '{\"products\": []}'}
---
apiVersion: storefront.dev/v1alpha1
kind: Storefront
metadata: {name: demo}
spec: {payment: {sandbox: {}}, kafka: null}
---
apiVersion: v1
kind: Secret
metadata: {name: stripe}
";
    let manifest = manifest::load("shop.yaml", text).unwrap();
    assert_eq!(manifest.storefront.metadata.name.as_deref(), Some("demo"));
    assert_eq!(manifest.storefront.spec.kafka, None);
    assert_eq!(manifest.config_maps["products"]["catalog.json"], "{\"products\": []}");
    assert_eq!(manifest.ignored, ["Secret stripe"]);
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    let text = "\u{feff}apiVersion: storefront.dev/v1alpha1\r\nkind: Storefront\r\nmetadata: {name: demo}\r\nspec: {payment: {sandbox: {}}}\r\n";
    manifest::load("shop.yaml", text).unwrap();
    assert_eq!(manifest::load_all("shop.yaml", text).unwrap().len(), 1);
    let error = manifest::load("shop.yaml", &text.replace("sandbox", "stripe")).unwrap_err();
    assert_eq!(error.problems[0].line, Some(4), "{error}");
}

#[test]
fn a_manifest_beyond_the_limit_is_not_parsed() {
    let text = "a".repeat(manifest::MAX_BYTES + 1);
    let error = manifest::load("huge.yaml", &text).unwrap_err();
    assert!(error.to_string().contains("at most"), "{error}");
}

/// Each product compared with each other one, as a rule asks for, would take minutes.
#[test]
fn a_list_that_is_much_too_long_is_told_as_that() {
    let product = |number| format!("    - {{id: p{number}, name: Chai, price: 100}}\n");
    let products = (0..15_000).map(product).collect::<Vec<_>>().concat();
    let text = format!(
        "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: demo}}\nspec:\n  \
         currency: INR\n  payment: {{sandbox: {{}}}}\n  catalog:\n   products:\n{products}"
    );
    let error = manifest::load("long.yaml", &text).unwrap_err();
    let told: Vec<_> = error.problems.iter().map(|it| (it.line, it.message.as_str())).collect();
    assert_eq!(told, [(Some(8), "has 15000 entries; at most 200 are allowed")]);
}

#[test]
fn several_storefronts_in_a_file_are_read_and_everything_wrong_is_told() {
    let shop = |name: &str, spec: &str| {
        format!(
            "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let right = "{payment: {sandbox: {}}}";
    let text = [shop("one", right), shop("two", right)].join("---\n");
    let manifests = manifest::load_all("shops.yaml", &text).unwrap();
    let names: Vec<_> =
        manifests.iter().filter_map(|it| it.storefront.metadata.name.clone()).collect();
    assert_eq!(names, ["one", "two"]);
    let text = [shop("one", "{}"), shop("two", right), shop("Three", right)].join("---\n");
    let error = manifest::load_all("shops.yaml", &text).unwrap_err();
    let lines: Vec<_> = error.problems.iter().map(|problem| problem.line).collect();
    assert_eq!(lines, [Some(4), Some(13)], "{error}");
    let none = manifest::load_all("shops.yaml", "kind: Secret\n").unwrap_err();
    assert!(none.to_string().contains("is no Storefront"), "{none}");
}

#[test]
fn an_edit_is_refused_in_the_words_of_the_api_server() {
    let shop = |spec: &str| {
        let text = format!(
            "apiVersion: storefront.dev/v1alpha1\nkind: Storefront\nmetadata: {{name: demo}}\nspec: {spec}\n"
        );
        manifest::load("shop.yaml", &text).unwrap().storefront
    };
    let before = shop("{payment: {sandbox: {}}, kafka: {prefix: a., managed: {version: 4.1.0}}}");
    assert_eq!(manifest::refused_edits(&before, &before), Ok(vec![]));
    let after = shop(
        "{payment: {sandbox: {}}, currency: EUR, kafka: {prefix: b., managed: {version: 4.0.0}}}",
    );
    let refused: Vec<_> = manifest::refused_edits(&before, &after)
        .unwrap()
        .into_iter()
        .map(|problem| format!("{}: {}", problem.path, problem.message))
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}
