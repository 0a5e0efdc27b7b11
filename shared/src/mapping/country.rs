//! Countries by the names that people write.

use std::{collections::HashMap, sync::LazyLock};

/// What people write where ISO has another name: short names, parts of the United Kingdom, and what the commonest
/// countries are called in German, French, Spanish, Italian, Dutch and their own languages. As [`key`] leaves them.
const ALIASES: [(&str, &[&str]); 74] = [
    ("AE", &["emirates", "uae", "vae", "vereinigtearabischeemirate", "emiratsarabesunis"]),
    ("AL", &["shqiperia", "albanien", "albanie"]),
    ("AR", &["argentinien", "argentine"]),
    ("AT", &["austria", "oesterreich", "osterreich", "autriche", "oostenrijk"]),
    ("AU", &["australien", "australie"]),
    ("BA", &["bosnia", "bosniaherzegovina", "bosnaihercegovina", "bosnien", "bosnienundherzegowina"]),
    ("BE", &["belgie", "belgien", "belgio", "belgique", "belgica"]),
    ("BG", &["balgariya", "bulgarien", "bulgarie", "българия"]),
    ("BN", &["brunei"]),
    ("BO", &["bolivia"]),
    ("BR", &["brasil", "brasile", "brasilien", "bresil", "brazilie"]),
    ("CA", &["kanada"]),
    ("CD", &["drc", "drcongo", "democraticrepublicofthecongo", "congokinshasa"]),
    ("CG", &["congobrazzaville", "republicofthecongo"]),
    ("CH", &["helvetia", "schweiz", "suisse", "suiza", "svizzera", "zwitserland"]),
    ("CI", &["ivorycoast", "elfenbeinkuste"]),
    ("CN", &["prc", "peoplesrepublicofchina", "mainlandchina", "chine", "cina"]),
    ("CV", &["capeverde"]),
    ("CY", &["kypros", "zypern", "chypre", "κύπρος"]),
    ("CZ", &["ceskarepublika", "cesko", "czechrepublic", "tschechien", "tschechischerepublik", "tsjechie"]),
    (
        "DE",
        &["allemagne", "alemania", "brd", "deutschland", "duitsland", "federalrepublicofgermany", "germania"],
    ),
    ("DK", &["danemark", "danmark", "danimarca", "dinamarca", "danemarca", "denemarken"]),
    ("EE", &["eesti", "estland", "estonie"]),
    ("EG", &["agypten", "egypte", "egitto", "misr"]),
    ("ES", &["espagne", "espana", "spanien", "spagna", "spanje"]),
    ("FI", &["finnland", "finlande", "finlandia", "suomi"]),
    ("FK", &["falklandislands", "falklands"]),
    ("FM", &["micronesia"]),
    ("FR", &["francia", "frankreich", "frankrijk"]),
    (
        "GB",
        &[
            "britain",
            "england",
            "greatbritain",
            "northernireland",
            "scotland",
            "uk",
            "unitedkingdom",
            "wales",
            "angleterre",
            "grossbritannien",
            "grootbrittannie",
            "granbretagna",
            "granbretana",
            "grandebretagne",
            "inglaterra",
            "inghilterra",
            "reinounido",
            "regnounito",
            "royaumeuni",
            "schottland",
            "verenigdkoninkrijk",
            "vereinigteskonigreich",
        ],
    ),
    ("GR", &["griechenland", "grece", "grecia", "griekenland", "hellas", "ellada", "ελλάδα"]),
    ("HK", &["hongkongsar"]),
    ("HR", &["hrvatska", "kroatien", "croatie", "kroatie"]),
    ("HU", &["hongrie", "hongarije", "magyarorszag", "ungarn", "ungheria"]),
    ("IE", &["eire", "irland", "irlande", "irlanda", "ierland", "republicofireland"]),
    ("IN", &["bharat", "indien", "inde"]),
    ("IR", &["iran"]),
    ("IS", &["island", "islande", "islanda", "ijsland"]),
    ("IT", &["italia", "italie", "italien"]),
    ("JP", &["japon", "giappone", "nihon", "nippon", "日本"]),
    ("KP", &["northkorea", "dprk", "nordkorea"]),
    ("KR", &["korea", "republicofkorea", "rok", "southkorea", "sudkorea", "coreedusud", "zuidkorea"]),
    ("LA", &["laos"]),
    ("LT", &["lietuva", "litauen", "lituanie", "litouwen"]),
    ("LU", &["letzebuerg", "luxemburg", "lussemburgo"]),
    ("LV", &["latvija", "lettland", "lettonie", "letland"]),
    ("MA", &["marokko", "maroc", "marocco", "marruecos"]),
    ("MD", &["moldova", "moldavia"]),
    ("MK", &["macedonia"]),
    ("MM", &["burma"]),
    ("MX", &["mexiko", "mexique", "messico"]),
    (
        "NL",
        &[
            "holland",
            "nederland",
            "netherlands",
            "niederlande",
            "paisesbajos",
            "paesibassi",
            "paysbas",
            "olanda",
        ],
    ),
    ("NO", &["norge", "noreg", "norwegen", "norvege", "norvegia", "noruega", "noorwegen"]),
    ("NZ", &["aotearoa", "neuseeland", "nouvellezelande"]),
    ("PL", &["pologne", "polonia", "polska", "polen"]),
    ("PS", &["palestine"]),
    ("PT", &["portogallo"]),
    ("RO", &["rumanien", "roumanie", "rumania"]),
    ("RS", &["srbija", "serbien", "serbie"]),
    ("RU", &["russia", "russland", "russie", "rossiya", "rusland", "россия"]),
    ("SA", &["ksa", "saudi", "saudiarabien"]),
    ("SE", &["sverige", "schweden", "suede", "svezia", "suecia", "zweden"]),
    ("SI", &["slovenija", "slowenien", "slovenie"]),
    ("SK", &["slovakrepublic", "slovensko", "slowakei", "slovaquie", "slowakije"]),
    ("SY", &["syria"]),
    ("SZ", &["swaziland"]),
    ("TL", &["easttimor"]),
    ("TR", &["turkey", "turquie", "turchia", "turquia", "turkei", "turkije"]),
    ("TW", &["taiwan"]),
    ("TZ", &["tanzania"]),
    ("UA", &["ukraina", "ukrayina", "україна"]),
    (
        "US",
        &[
            "america",
            "unitedstates",
            "estadosunidos",
            "etatsunis",
            "statiuniti",
            "vereinigtestaaten",
            "verenigdestaten",
        ],
    ),
    ("VA", &["vatican", "vaticancity"]),
    ("VE", &["venezuela"]),
];

/// Codes by what [`key`] leaves of a name or code.
static CODES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut codes = HashMap::new();
    for country in rust_iso3166::ALL {
        codes.extend([country.name, country.alpha2, country.alpha3].map(|name| (key(name), country.alpha2)));
    }
    for (code, names) in ALIASES {
        codes.extend(names.iter().map(|name| ((*name).to_owned(), code)));
    }
    codes
});

/// The two-letter code of the country with this name or code.
pub(super) fn code(text: &str) -> Option<&'static str> {
    CODES.get(&key(text)).copied()
}

/// A name without what people write differently: case, accents, dots, blanks and a leading article.
fn key(text: &str) -> String {
    let plain: String = text.chars().flat_map(char::to_lowercase).map(without_accent).collect();
    let plain = plain.replace('ß', "ss").replace('æ', "ae").replace('&', " and ");
    let words: Vec<_> = plain
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| if word == "st" { "saint" } else { word })
        .collect();
    match &words[..] {
        ["the" | "die" | "la" | "le" | "les", name @ ..] if !name.is_empty() => name.concat(),
        name => name.concat(),
    }
}

/// The letter under an accent. An accent by itself is no letter and goes with the blanks.
fn without_accent(letter: char) -> char {
    match letter {
        'à'..='å' | 'ā' | 'ă' | 'ą' => 'a',
        'ç' | 'ć' | 'č' => 'c',
        'è'..='ë' | 'ē' | 'ė' | 'ę' | 'ě' => 'e',
        'ì'..='ï' | 'ī' | 'į' | 'ı' => 'i',
        'ł' => 'l',
        'ñ' | 'ń' | 'ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō' | 'ő' => 'o',
        'ř' => 'r',
        'ś' | 'ş' | 'š' | 'ș' => 's',
        'ù'..='ü' | 'ū' | 'ů' | 'ű' | 'ų' => 'u',
        'ý' | 'ÿ' => 'y',
        'ź' | 'ż' | 'ž' => 'z',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{code as code_of, *};

    #[test]
    fn common_names_in_any_spelling_become_their_code() {
        for (code, names) in [
            (
                "GB",
                "UK|U.K.|u. k.|GB|GBR|United Kingdom|the United Kingdom|Great Britain|England|Scotland|WALES|\
                 Northern Ireland|Großbritannien|Royaume-Uni",
            ),
            ("US", "US|U.S.|USA|U.S.A.|United States|the United States of America|United States|États-Unis"),
            ("NL", "NL|NLD|Netherlands|The Netherlands|Holland|Nederland|die Niederlande|Les Pays-Bas"),
            ("AE", "UAE|U.A.E.|United Arab Emirates|the united arab emirates"),
            ("DE", "de|DEU|Germany|Deutschland|Allemagne|Alemania|Germania|Duitsland"),
            ("AT", "Austria|Österreich|O\u{308}sterreich|Oesterreich|AUT"),
            ("CH", "Switzerland|Schweiz|die Schweiz|Suisse|La Suisse|Svizzera"),
            ("ES", "Spain|España|ESPANA|Espagne"),
            ("IT", "Italy|Italia|Italien"),
            ("PL", "Poland|Polska|Polen"),
            ("TR", "Turkey|Türkiye|TÜRKİYE|Turkiye|Türkei"),
            ("CZ", "Czechia|Czech Republic|the Czech Republic|Česko|Tschechien"),
            ("KR", "South Korea|Korea|Republic of Korea|Korea (Republic of)"),
            ("RU", "Russia|Russian Federation"),
            ("VN", "Vietnam|Viet Nam"),
            ("FR", "France|FRA|Frankreich"),
            ("IE", "Ireland|Éire|Republic of Ireland"),
            ("LC", "Saint Lucia|St. Lucia"),
            ("TT", "Trinidad and Tobago|Trinidad & Tobago"),
            ("CI", "Côte d'Ivoire|Cote d’Ivoire|Ivory Coast"),
        ] {
            for name in names.split('|') {
                assert_eq!(code_of(name), Some(code), "{name}");
                assert_eq!(code_of(&format!(" {} ", name.to_lowercase())), Some(code), "{name}");
            }
        }
        for name in ["", " ", "the", "Atlantis", "XX", "ZZZ", "Virgin Islands", "U"] {
            assert_eq!(code_of(name), None, "{name}");
        }
    }

    #[test]
    fn every_name_and_code_of_iso_means_its_country_and_no_alias_takes_one_over() {
        for country in rust_iso3166::ALL {
            for name in [country.name, country.alpha2, country.alpha3] {
                assert_eq!(code_of(name), Some(country.alpha2), "{name}");
            }
        }
        let mut seen = HashSet::new();
        for (code, names) in ALIASES {
            assert!(rust_iso3166::from_alpha2(code).is_some(), "{code}");
            for name in names {
                assert_eq!(key(name), *name, "would never be found");
                assert!(seen.insert(*name), "{name} is there twice");
            }
        }
    }
}
