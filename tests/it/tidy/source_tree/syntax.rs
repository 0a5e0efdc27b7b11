//! Takes one parsed file apart: items, imports, and every path that code names, those within macros included.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Ident, ImplItem, Item, ItemUse, Meta, UseTree, Visibility,
    parse::Parser,
    visit::{self, Visit},
};

use super::{Definition, Import, Kind, Mention, Module, Reach, SourceTree, packages};

pub(super) fn read(tree: &mut SourceTree, module: usize, file: &syn::File) {
    let test = tree.modules[module].test;
    Reader { tree, module, test, within: 0, bodies: 0, body: 0 }.visit_file(file);
}

struct Reader<'t> {
    tree: &'t mut SourceTree,
    module: usize,
    test: bool,
    /// How many bodies are around: what a body defines is no item of the module.
    within: usize,
    /// How many bodies there were, and the number of the innermost.
    bodies: usize,
    body: usize,
}

/// Whether an item is left out of everything but tests.
fn only_in_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let predicate = list.tokens.to_string();
            predicate == "test" || (predicate.starts_with("all") && predicate.contains("test"))
        }
        meta => {
            meta.path().is_ident("test")
                || meta.path().segments.last().is_some_and(|last| last.ident == "test")
        }
    })
}

fn reach(visibility: &Visibility) -> Reach {
    match visibility {
        Visibility::Public(_) => Reach::Everybody,
        Visibility::Restricted(part) if part.path.is_ident("crate") => Reach::Crate,
        Visibility::Restricted(part) if part.path.is_ident("self") => Reach::Private,
        Visibility::Restricted(_) => Reach::Part,
        Visibility::Inherited => Reach::Private,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

impl Reader<'_> {
    fn here(&mut self) -> &mut Module {
        &mut self.tree.modules[self.module]
    }

    fn in_tests_if(&mut self, test: bool, read: impl FnOnce(&mut Self)) {
        let before = self.test;
        self.test |= test;
        read(self);
        self.test = before;
    }

    fn in_body_if(&mut self, body: bool, read: impl FnOnce(&mut Self)) {
        let before = self.body;
        if body {
            self.bodies += 1;
            self.body = self.bodies;
        }
        read(self);
        self.body = before;
    }

    fn define(&mut self, name: &Ident, kind: Kind, visibility: &Visibility, variants: Vec<String>) {
        if self.within == 0 {
            let (line, test, reach) = (name.span().start().line, self.test, reach(visibility));
            self.here().definitions.push(Definition {
                name: name.to_string(),
                line,
                kind,
                reach,
                variants,
                test,
            });
        }
    }

    fn mention(&mut self, path: Vec<String>) {
        let test = self.test;
        self.here().mentions.push(Mention { path, test });
    }

    fn import(&mut self, item: &ItemUse, tree: &UseTree, before: &[String]) {
        let with = |name: &Ident| [before, &[name.to_string()]].concat();
        let line = item.use_token.span.start().line;
        let (reach, test, body) = (reach(&item.vis), self.test, self.body);
        let mut add = |path: Vec<String>, name: String| {
            self.here().imports.push(Import { path, name, reach, body, line, test });
        };
        match tree {
            UseTree::Path(path) => self.import(item, &path.tree, &with(&path.ident)),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(item, tree, before);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                add(before.to_vec(), before.last().cloned().unwrap_or_default());
            }
            UseTree::Name(name) => add(with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) if rename.ident == "self" => {
                add(before.to_vec(), rename.rename.to_string());
            }
            UseTree::Rename(rename) => add(with(&rename.ident), rename.rename.to_string()),
            UseTree::Glob(_) => add(before.to_vec(), "*".to_owned()),
        }
    }

    fn declare(&mut self, item: &syn::ItemMod) {
        let name = item.ident.to_string();
        let placed = item.attrs.iter().find_map(|attribute| match &attribute.meta {
            Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                _ => None,
            },
            _ => None,
        });
        let (parent, test) = (self.module, self.test);
        let package = self.here().package;
        let file = match &item.content {
            Some(_) => self.here().file.clone(),
            None => packages::file_of(self.tree, parent, &name, placed.as_deref()),
        };
        let module = packages::add(self.tree, package, Some(parent), &name, &file, test);
        self.tree.modules[module].placed = placed;
        if item.content.is_some() {
            self.tree.modules[module].inline = true;
            self.module = module;
            visit::visit_item_mod(self, item);
            self.module = parent;
        } else {
            packages::module(self.tree, module);
        }
    }

    /// Paths among tokens that nobody has parsed: `a::b::c` is one, and so is a name that stands alone.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        // The mark that stood before, with `∷` for two colons: a dot is before a field, a tick before a lifetime.
        let mut before = ' ';
        for token in tokens {
            let mark = match &token {
                TokenTree::Punct(mark) if mark.as_char() == ':' && before == ':' => '∷',
                TokenTree::Punct(mark) => mark.as_char(),
                _ => ' ',
            };
            match token {
                TokenTree::Ident(name) if before == '∷' && !path.is_empty() => path.push(name.to_string()),
                TokenTree::Ident(name) => {
                    self.flush(&mut path);
                    if !matches!(before, '.' | '\'') && (before != '$' || name == "crate") {
                        path.push(name.to_string());
                    }
                }
                TokenTree::Group(group) => {
                    self.flush(&mut path);
                    self.tokens(group.stream());
                }
                TokenTree::Punct(_) if matches!(mark, ':' | '∷') => {}
                TokenTree::Punct(_) | TokenTree::Literal(_) => self.flush(&mut path),
            }
            before = mark;
        }
        self.flush(&mut path);
    }

    fn flush(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.mention(std::mem::take(path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        self.in_tests_if(only_in_tests(attributes(item)), |reader| {
            match item {
                Item::Struct(item) => reader.define(&item.ident, Kind::Type, &item.vis, Vec::new()),
                Item::Union(item) => reader.define(&item.ident, Kind::Type, &item.vis, Vec::new()),
                Item::Type(item) => reader.define(&item.ident, Kind::Type, &item.vis, Vec::new()),
                Item::Trait(item) => reader.define(&item.ident, Kind::Type, &item.vis, Vec::new()),
                Item::Enum(item) => {
                    let variants = item.variants.iter().map(|variant| variant.ident.to_string()).collect();
                    reader.define(&item.ident, Kind::Type, &item.vis, variants);
                }
                Item::Fn(item) => reader.define(&item.sig.ident, Kind::Value, &item.vis, Vec::new()),
                Item::Const(item) => reader.define(&item.ident, Kind::Value, &item.vis, Vec::new()),
                Item::Static(item) => reader.define(&item.ident, Kind::Value, &item.vis, Vec::new()),
                Item::Macro(syn::ItemMacro { ident: Some(name), .. }) => {
                    reader.define(name, Kind::Value, &Visibility::Inherited, Vec::new());
                }
                _ => {}
            }
            visit::visit_item(reader, item);
        });
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if self.within == 0 {
            self.declare(item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let before = if item.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        let alone = !item.attrs.is_empty();
        self.in_body_if(alone, |reader| reader.import(item, &item.tree, &before));
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        self.within += 1;
        self.in_body_if(true, |reader| visit::visit_block(reader, block));
        self.within -= 1;
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let test = match item {
            ImplItem::Const(item) => only_in_tests(&item.attrs),
            ImplItem::Fn(item) => only_in_tests(&item.attrs),
            _ => false,
        };
        self.in_tests_if(test, |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        self.in_tests_if(only_in_tests(&field.attrs), |reader| visit::visit_field(reader, field));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let start = path.leading_colon.as_ref().map(|_| String::new());
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.mention(start.into_iter().chain(names).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invocation: &'ast syn::Macro) {
        visit::visit_macro(self, invocation);
        self.tokens(invocation.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        visit::visit_attribute(self, attribute);
        let Meta::List(list) = &attribute.meta else { return };
        self.tokens(list.tokens.clone());
        // serde takes paths as text.
        if list.path.is_ident("serde") {
            for token in list.tokens.clone() {
                if let Ok(text) = syn::parse2::<syn::LitStr>(token.into())
                    && let Ok(path) = syn::Path::parse_mod_style.parse_str(&text.value())
                {
                    let names = path.segments.iter().map(|segment| segment.ident.to_string());
                    self.mention(names.collect());
                }
            }
        }
    }
}
