//! Certificates that work and certificates that cannot.

use std::fs;

use tempfile::TempDir;

use super::*;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/identity").join(name)
}

fn pair(certificate: &str, key: &str) -> CertificateFiles {
    CertificateFiles { certificate: fixture(certificate), key: Some(fixture(key)) }
}

#[track_caller]
fn check_error(files: &CertificateFiles, expected: &str) {
    let error = files.check().expect_err("refused").to_string();
    let folder = format!("{}/", fixture("").display().to_string().trim_end_matches('/'));
    assert_eq!(error.replace(&folder, ""), expected);
}

#[test]
fn an_assertion_names_its_certificate_and_is_signed_with_its_key() {
    let certificate = pair("certificate.pem", "key.pem").load().expect("a pair");
    let now = Timestamp::from_second(1_800_000_000).expect("in range");
    let assertion = certificate.assertion("app", "https://login.example/t", now).expect("signs");
    let (signed, signature) = assertion.rsplit_once('.').expect("three parts");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let json = |part: &str| serde_json::from_slice::<serde_json::Value>(&decode(part)).expect("json");

    let der = CertificateDer::from_pem_file(fixture("certificate.pem")).expect("a certificate");
    let thumbprint = URL_SAFE_NO_PAD.encode(Sha256::digest(&der));
    assert_eq!(json(header), json!({ "typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint }));
    let claims = json(claims);
    for (name, expected) in [
        ("aud", json!("https://login.example/t")),
        ("iss", json!("app")),
        ("sub", json!("app")),
        ("nbf", json!(1_800_000_000)),
        ("iat", json!(1_800_000_000)),
        ("exp", json!(1_800_000_600)),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert!(claims["jti"].as_str().is_some_and(|id| Uuid::try_parse(id).is_ok()));
    let verified = webpki::EndEntityCert::try_from(&der).expect("a certificate").verify_signature(
        webpki::ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        signed.as_bytes(),
        &decode(signature),
    );
    assert_eq!(verified, Ok(()));
}

#[test]
fn key_and_chain_may_stand_in_one_file_in_any_order_and_form() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("all.pem");
    let read = |name| fs::read_to_string(fixture(name)).expect("a fixture");
    for key in ["key.pem", "pkcs1-key.pem"] {
        let text = ["next-certificate.pem", key, "certificate.pem"].map(read).concat();
        fs::write(&path, text).expect("written");
        let found = CertificateFiles { certificate: path.clone(), key: None }.load().expect("a pair");
        let expected = pair("certificate.pem", "key.pem").load().expect("a pair");
        assert_eq!(found.thumbprint, expected.thumbprint, "{key}");
    }
}

#[test]
fn what_cannot_work_is_said_with_what_to_do() {
    check_error(&pair("certificate.pem", "nowhere.pem"), "nowhere.pem cannot be read");
    check_error(
        &pair("key.pem", "key.pem"),
        "key.pem holds no certificate in pem form; make one of a .pfx with openssl pkcs12 -in x.pfx -nodes",
    );
    check_error(
        &CertificateFiles { certificate: fixture("certificate.pem"), key: None },
        "certificate.pem holds no private key in pem form; name the file that does in private_key_file",
    );
    check_error(
        &pair("certificate.pem", "encrypted-key.pem"),
        "the private key in encrypted-key.pem is encrypted; store it without a passphrase, readable for the \
         worker only",
    );
    check_error(
        &pair("certificate.pem", "ec-key.pem"),
        "the private key in ec-key.pem is no rsa key of 2048 to 4096 bits, which entra asks for",
    );
    check_error(
        &pair("certificate.pem", "next-key.pem"),
        "the private key in next-key.pem belongs to no certificate in certificate.pem",
    );
}
