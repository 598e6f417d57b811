//! The reference documents under version control are those of the programs.
#[test]
fn the_documents_are_in_step() {
    for (name, now) in storefront::docs::documents().unwrap() {
        let file = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(kept == now, "docs/{name} is not in step: run `make generate`");
    }
}
