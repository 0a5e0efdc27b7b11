// Credentials of Microsoft's libraries, pointed at the local authority instead of login.microsoftonline.com.

import { ClientCertificateCredential, ClientSecretCredential } from "@azure/identity";
import { setting } from "./support.js";

/** What a token for Microsoft Graph is asked for. */
export const GRAPH_SCOPE = "https://graph.microsoft.com/.default";

function authority() {
  // The libraries would ask Microsoft whether it knows an authority of this name.
  return { authorityHost: setting("GRAPH"), disableInstanceDiscovery: true };
}

/** The local app with its secret, or with another. */
export function secretCredential(secret = setting("CLIENT_SECRET")) {
  return new ClientSecretCredential(setting("TENANT"), setting("CLIENT_ID"), secret, authority());
}

/** The local app with its certificate. */
export function certificateCredential() {
  const proof = { certificatePath: setting("CERTIFICATE") };
  return new ClientCertificateCredential(setting("TENANT"), setting("CLIENT_ID"), proof, authority());
}
