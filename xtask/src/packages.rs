//! Packages agree with Cargo.toml.

#[cfg(test)]
mod tests {
    use crate::steps;
    use std::fs;

    /// The value of `key = "…"` in Cargo.toml, the first of it.
    fn of_cargo(key: &str) -> String {
        let text = fs::read_to_string(steps::root().join("Cargo.toml")).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
        line.split('"').nth(1).unwrap().to_string()
    }

    #[test]
    fn recipes_and_citation_have_the_version_of_the_crate() {
        let version = of_cargo("version");
        for (file, words) in [
            ("packaging/conda/recipe.yaml", format!("version: \"{version}\"")),
            ("packaging/spack/package.py", format!("version(\"{version}\", tag=\"v{version}\")")),
            ("packaging/modulefiles/spextral.lua", format!("Version: {version}")),
            ("CITATION.cff", format!("version: {version}")),
        ] {
            let text = fs::read_to_string(steps::root().join(file)).unwrap();
            assert!(text.contains(&words), "{file} lacks {words}");
        }
    }

    #[test]
    fn containers_build_with_the_oldest_rust_and_recipes_name_the_repository() {
        let (rust, repository) = (of_cargo("rust-version"), of_cargo("repository"));
        for file in ["packaging/container/Containerfile", "packaging/container/spextral.def"] {
            let text = fs::read_to_string(steps::root().join(file)).unwrap();
            assert!(text.contains(&format!("rust:{rust}-")), "{file} is not of Rust {rust}");
        }
        let ci = fs::read_to_string(steps::root().join(".github/workflows/ci.yml")).unwrap();
        assert!(ci.contains(&format!("rust-toolchain@{rust}")), "ci.yml is not of Rust {rust}");
        for file in ["packaging/conda/recipe.yaml", "packaging/spack/package.py", "python/pyproject.toml"] {
            let text = fs::read_to_string(steps::root().join(file)).unwrap();
            assert!(text.contains(&repository), "{file} does not name {repository}");
        }
    }
}
