//! The files of a folder, read by the compiler. Use it as `crossfade::embed!`.
//!
//! Each file is named to the compiler by `include_bytes!`, so a changed one is seen. That a file was added is not: no macro can say that on stable Rust.

use std::path::Path;
use std::path::PathBuf;

use proc_macro2::Span;
use proc_macro2::TokenStream;
use quote::quote;
use syn::LitStr;

/// The files below a folder, as `&[(&str, &[u8])]`: paths relative to it with `/` between their parts, and bytes. Hidden ones are left out.
#[proc_macro]
pub fn files_of(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let expanded = syn::parse::<LitStr>(input).and_then(|folder| {
        let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        expand(&root.join(folder.value())).map_err(|why| syn::Error::new(folder.span(), why))
    });
    expanded.unwrap_or_else(syn::Error::into_compile_error).into()
}

fn expand(folder: &Path) -> Result<TokenStream, String> {
    let mut found = Vec::new();
    collect(folder, "", &mut found)?;
    found.sort();
    let pairs = found.into_iter().map(|(name, path)| {
        let (name, path) = (LitStr::new(&name, Span::call_site()), LitStr::new(&path, Span::call_site()));
        quote!((#name, ::core::include_bytes!(#path).as_slice()))
    });
    Ok(quote!(&[#(#pairs),*]))
}

/// Names and full paths of the files of a folder and of those below it.
fn collect(folder: &Path, before: &str, found: &mut Vec<(String, String)>) -> Result<(), String> {
    let unreadable = |error: std::io::Error| {
        format!(
            "could not read the folder {}: {error}; the path is relative to the Cargo.toml of the crate that embeds it",
            folder.display()
        )
    };
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(name), Some(full)) = (name, path.to_str()) else {
            return Err(format!("the name of {} is not UTF-8", path.display()));
        };
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{before}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), found)?;
        } else if path.is_file() {
            found.push((name, full.to_owned()));
        }
    }
    Ok(())
}
