"""The first pages of a Flask tutorial, with one word changed: the name in the import."""

from asyncflask import Flask, request

app = Flask(__name__)


@app.route("/")
def home():
    return "Welcome!"


@app.route("/about")
def about():
    return "About us"


@app.route("/contact")
def contact():
    return "Contact us"


@app.route("/user/<username>")
def profile(username):
    return f"Profile of {username}"


@app.route("/post/<int:post_id>")
def post(post_id):
    return f"Post number {post_id}"


@app.route("/submit", methods=["GET", "POST"])
def submit():
    if request.method == "POST":
        return f"Thank you, {request.form['name']}!"
    return '<form method="post"><input name="name"><button>Send</button></form>'


@app.get("/items")
def list_items():
    return ["pen", "paper"]


@app.post("/items")
def add_item():
    return {"added": request.get_json()["name"]}, 201


@app.put("/items/<int:item_id>")
def replace_item(item_id):
    return {"id": item_id, "name": request.get_json()["name"]}


@app.patch("/items/<int:item_id>")
def change_item(item_id):
    return {"id": item_id, "changed": sorted(request.get_json())}


@app.delete("/items/<int:item_id>")
def delete_item(item_id):
    return "", 204


if __name__ == "__main__":
    app.run(debug=True)
