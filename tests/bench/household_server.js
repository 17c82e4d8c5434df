// The far end's web server: HTTP/2 over TLS, as most sites have it. Serves the files of one folder; what is posted to a
// name becomes a file of that name; one that is not there yet is waited for.
const {readFileSync, writeFileSync, renameSync, existsSync} = require('fs');
const {basename, extname, join} = require('path');
const [folder, address, port] = process.argv.slice(2);
const KINDS = {'.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.svg': 'image/svg+xml'};

function answer(request, response) {
  const file = join(folder, basename(request.url.split('?')[0]));
  if (request.method === 'POST') {
    const parts = [];
    request.on('data', part => parts.push(part)).on('end', () => {
      writeFileSync(file + '.part', Buffer.concat(parts));
      renameSync(file + '.part', file);
      response.end();
    });
  } else if (existsSync(file)) {
    response.setHeader('content-type', KINDS[extname(file)] ?? 'application/json');
    response.end(readFileSync(file));
  } else if (extname(file)) {
    response.statusCode = 404;
    response.end();
  } else if (!response.destroyed) setTimeout(answer, 50, request, response);
}

const [key, cert] = ['key.pem', 'cert.pem'].map(name => readFileSync(join(folder, name)));
require('http2').createSecureServer({key, cert}, answer).listen(Number(port), address);
